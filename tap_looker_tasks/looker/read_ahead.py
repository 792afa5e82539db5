"""Does in a thread, while other work goes on, what will be needed next."""

from __future__ import annotations

from concurrent.futures import Future
from queue import Full, Queue
from threading import Event, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_T = TypeVar("_T")
_LOOK_UP_SECONDS = 0.1


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class _End:
    pass


class _Reader(Generic[_T]):
    def __init__(self, items: Iterable[_T], most: int) -> None:
        self._items = items
        self._queue: Queue[_T | _Failure | _End] = Queue(most)
        self._is_given_up = Event()
        # It may be waiting for what never comes: nobody waits for it.
        self._thread = Thread(target=self._read, name="read-ahead", daemon=True)

    def items(self) -> Iterator[_T]:
        self._thread.start()
        try:
            while not isinstance(item := self._queue.get(), _End):
                if isinstance(item, _Failure):
                    raise item.error
                yield item
        finally:
            self._is_given_up.set()

    def _read(self) -> None:
        end: _Failure | _End = _End()
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised where the items are wanted
            end = _Failure(error)
        self._put(end)

    def _put(self, item: _T | _Failure | _End) -> bool:
        while not self._is_given_up.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_UP_SECONDS)
            except Full:
                continue
            return True
        return False


def read_ahead(items: Iterable[_T], most: int) -> Iterator[_T]:
    """Yield the items; a thread gets up to `most` of them before they are asked for.

    An exception of theirs is raised here, after the items before it. When nobody wants more,
    the thread ends with the item it is getting.
    """
    return _Reader(items, most).items()


def call_ahead(call: Callable[[], _T]) -> Future[_T]:
    """Make a call in a thread, whose result or exception will be needed later, or never."""
    future: Future[_T] = Future()

    def make() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is wanted
            future.set_exception(error)

    # A process that must end does not wait for it.
    Thread(target=make, name="call-ahead", daemon=True).start()
    return future
