"""The DAG of `examples/airflow`, its shards on workers of their own, as Celery shares tasks out."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.schedulers.celery_airflow import wait_until
from tests.schedulers.celery_loss import lose_worker
from tests.schedulers.celery_runs import Work, stage

if TYPE_CHECKING:
    from pathlib import Path

    from looker_simulator.engine import Database

pytestmark = [
    pytest.mark.slow,
    pytest.mark.schedulers,
    pytest.mark.skipif(not shutil.which("redis-server"), reason="redis-server is not installed"),
]
_IMPATIENT = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "LOOKER_RETRY_SECONDS": "5",
}


def test_shards_wait_for_looker_at_the_same_time(database: Database, tmp_path: Path) -> None:
    work = Work(shards=2, queries=12, seconds=5, at_once=2)
    with stage(tmp_path / "airflow", database, work) as at:
        run = at.airflow.trigger()
        about = at.airflow.wait(run, 240)
        tries = at.airflow.tries(run, "load", work.shards)

        assert (about["state"], len(tries)) == ("success", work.shards)
        ends = [one.ended_at for one in tries if one.ended_at]
        assert max(one.started_at for one in tries) < min(ends)
        assert (at.launched(), at.delivered()) == (work.queries, work.queries)


def test_the_shard_of_a_lost_worker_is_done_by_another(database: Database, tmp_path: Path) -> None:
    work = Work(shards=2, queries=20, seconds=5, at_once=2)
    with stage(tmp_path / "airflow", database, work, settings=_IMPATIENT) as at:

        def let_five_minutes_pass(run: str) -> None:
            # Meltano takes the state of a run that it does not know to be over for in use.
            def is_rejected() -> bool:
                tries = at.airflow.tries(run, "load", work.shards)
                return any(one.number > 1 and one.ended_at for one in tries)

            wait_until(is_rejected, 180)
            at.age_heartbeats()

        # More than one shard has: both have started.
        loss = lose_worker(
            at, lambda: at.launched() > work.queries / work.shards, 240, let_five_minutes_pass
        )

    tries = [(one.number, one.state) for one in loss.lost_shard]
    assert tries == [(1, "failed"), (2, "failed"), (3, "success")], [*loss.lines()]
    assert loss.state == "success"
    assert len(loss.tries) == 4  # the other shard did not notice
    assert loss.delivered == work.queries
    # What the lost shard had launched is launched again, and nothing else.
    assert work.queries < loss.launched <= work.queries + loss.launched_before
