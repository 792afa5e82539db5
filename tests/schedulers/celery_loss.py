"""A worker that is lost in the middle of its shard."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from tests.schedulers.celery_airflow import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.schedulers.celery_airflow import TaskTry
    from tests.schedulers.celery_runs import Stage


@dataclass(frozen=True)
class Loss:
    """What a lost worker did to a run.

    Attributes:
        lost_at: when it was killed.
        launched_before: queries, by all shards.
        delivered_before: queries of the lost shard, as Meltano's state has them.
        state: of the run, in the end.
        tries: of the shards.
        launched: queries, in all.
        delivered: tables that hold all rows, each once.
        delivered_twice: queries with the records of two tasks.
    """

    lost_at: datetime
    launched_before: int
    delivered_before: int
    state: str
    tries: list[TaskTry]
    launched: int
    delivered: int
    delivered_twice: int

    @property
    def lost_shard(self) -> list[TaskTry]:
        """The tries of the shard that the worker had."""
        name = next(one.task for one in self.tries if one.number > 1)
        return [one for one in self.tries if one.task == name]

    def lines(self) -> Iterator[str]:
        """Yield what happened, in the order of it."""
        yield f"{self.launched_before:4} queries launched when the worker was killed"
        yield f"{self.delivered_before:4} of its queries delivered, as Meltano's state had them"
        for one in self.lost_shard:
            if one.number > 1:
                yield f"{self._seconds(one.started_at)} s later try {one.number} began"
            yield f"{self._seconds(one.ended_at)} s later try {one.number} ended: {one.state}"
        yield f"{self.delivered:4} tables whole in the end, of a run that is a {self.state}"
        yield f"{self.launched:4} queries launched in all"
        yield f"{self.delivered_twice:4} queries delivered twice"

    def _seconds(self, moment: datetime | None) -> str:
        return f"{((moment or self.lost_at) - self.lost_at).total_seconds():4.0f}"


def lose_worker(
    at: Stage, seconds: float, before_end: Callable[[str], None] = lambda _: None
) -> Loss:
    """Run the DAG, kill the worker of a shard that is half delivered, and wait for the end.

    target-postgres returns state every five minutes, so it takes longer than that.
    """
    run = at.airflow.trigger()
    half = at.work.queries // at.work.shards // 2
    delivered: dict[int, int] = {}

    def is_half_delivered() -> bool:
        delivered.update(
            {shard: at.delivered_in_state(run, shard) for shard in range(at.work.shards)}
        )
        return max(delivered.values()) >= half

    wait_until(is_half_delivered, seconds)
    shard = max(delivered, key=delivered.__getitem__)
    lost = next(worker for worker in at.airflow.workers if worker.runs(f"shard-{shard}-of-"))
    lost_at, launched = datetime.now(UTC), at.launched()
    lost.lose()
    before_end(run)
    state = at.airflow.wait(run, seconds)["state"]
    tries = at.airflow.tries(run, "load", at.work.shards)
    return Loss(
        lost_at,
        launched,
        delivered[shard],
        state,
        tries,
        at.launched(),
        at.delivered(),
        at.delivered_twice(),
    )
