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
_REJECTED = {"failed", "up_for_retry"}


def test_shards_wait_for_looker_at_the_same_time(database: Database, tmp_path: Path) -> None:
    work = Work(shards=2, queries=12, seconds=[5], at_once=2)
    with stage(tmp_path / "airflow", database, work) as at:
        run = at.airflow.trigger()
        about = at.airflow.wait(run, 240)
        tries = at.airflow.tries(run, "load", work.shards)

        assert (about["state"], len(tries)) == ("success", work.shards)
        ends = [one.ended_at for one in tries if one.ended_at]
        assert max(one.started_at for one in tries) < min(ends)
        assert (at.launched(), at.delivered()) == (work.queries, work.queries)


def test_the_try_after_a_lost_worker_runs_nothing_that_was_delivered(
    database: Database, tmp_path: Path
) -> None:
    # The third query of a shard starts where the first was. When the second ends, target-postgres
    # returns state, which it does every five minutes.
    work = Work(shards=4, queries=16, seconds=[1, 305, 1, 360], at_once=2)
    with stage(tmp_path / "airflow", database, work, settings=_IMPATIENT) as at:

        def let_five_minutes_pass(run: str) -> None:
            # Meltano takes the state of a run that it does not know to be over for in use.
            def is_rejected() -> bool:
                tries = at.airflow.tries(run, "load", work.shards)
                # Until a try starts, it has the end of the one before it.
                return any(one.number > 1 and one.state in _REJECTED for one in tries)

            wait_until(is_rejected, 180)
            at.age_heartbeats()

        loss = lose_worker(at, 600, let_five_minutes_pass)

    tries = [(one.number, one.state) for one in loss.lost_shard]
    assert tries == [(1, "failed"), (2, "failed"), (3, "success")], [*loss.lines()]
    assert loss.state == "success"
    assert len(loss.tries) == work.shards + 2  # the other shards did not notice
    assert loss.delivered == work.queries
    assert 2 <= loss.delivered_before < 4
    assert loss.delivered_twice == 0
    # What was in flight in Meltano's state is resumed.
    assert loss.launched == work.queries
