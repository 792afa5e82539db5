"""Requests that do not depend on each other, made at the same time, each once."""

from __future__ import annotations

from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

from tap_looker_tasks.errors import RefusedRequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_T = TypeVar("_T")
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")


def map_concurrently(
    call: Callable[[_T], _Found], arguments: Iterable[_T], most: int
) -> list[_Found]:
    """Call with each argument, at most so many at a time; return the results in their order.

    The first exception is raised at once, as is an interrupt: calls not begun are not made, and
    those in progress are left to whoever ends them.
    """
    executor = ThreadPoolExecutor(most)
    try:
        futures = [executor.submit(call, argument) for argument in arguments]
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()
        return [future.result() for future in futures]
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class Lookups(Generic[_Key, _Found]):
    """What was looked up: each thing once, by whichever of many threads wants it first."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._lock = Lock()
        self._futures: dict[_Key, Future[_Found]] = {}

    def find(self, key: _Key, look_up: Callable[[], _Found]) -> _Found:
        """Return what was found, or is found now; what Looker refuses, it is not asked again."""
        with self._lock:
            future = self._futures.get(key)
            is_first = future is None
            if future is None:
                future = self._futures[key] = Future()
        if is_first:
            self._look_up(key, future, look_up)
        return future.result()

    def _look_up(self, key: _Key, future: Future[_Found], look_up: Callable[[], _Found]) -> None:
        try:
            future.set_result(look_up())
        except BaseException as error:  # noqa: BLE001 - whoever waits for it must hear of it
            if not isinstance(error, RefusedRequestError | ValueError):
                # It may be there the next time.
                with self._lock:
                    del self._futures[key]
            future.set_exception(error)
