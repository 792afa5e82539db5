"""The threads of the tap, and how they pass things on: nothing else above `looker` begins one."""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from threading import Event as Signal
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tap_looker_tasks.errors import RequestRejectedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_looker_tasks.looker import Clock

_Request = TypeVar("_Request")
_Report = TypeVar("_Report")
_T = TypeVar("_T")
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")

_MAX_WAIT_SECONDS = 60.0


def daemon(target: Callable[[], None], name: str) -> Thread:
    """Build a thread; one that hangs in the operating system keeps no process from ending."""
    return Thread(target=target, name=name, daemon=True)


class Inbox:
    """Passes things from threads to one that may wait for them."""

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._things: deque[Any] = deque()
        self._signal = Signal()

    def put(self, *things: object) -> None:
        """Pass things on, and wake whoever waits for them."""
        self._things.extend(things)
        # Whoever waits clears it before taking, so what was put before this look is taken.
        if not self._signal.is_set():
            self._signal.set()

    def take_all(self) -> Iterator[Any]:
        """Yield what is there, without waiting."""
        while self._things:
            yield self._things.popleft()

    def wait(self, seconds: float) -> bool:
        """Wait until something is there, or `wake` is called; return whether that was so."""
        is_there = bool(self._things) or self._clock.wait(
            self._signal, min(seconds, _MAX_WAIT_SECONDS)
        )
        self._signal.clear()
        return is_there

    def wake(self) -> None:
        """End the wait of whoever waits, though nothing may be there."""
        self._signal.set()


class Workers(Generic[_Request, _Report]):
    """Threads that perform requests, as many as are made at the same time."""

    def __init__(
        self, perform: Callable[[_Request], Iterable[_Report]], reports: Inbox, clock: Clock
    ) -> None:
        """Begin without threads; what requests bring goes into a queue."""
        self._clock = clock
        self._perform = perform
        self._reports = reports
        self._begun: SimpleQueue[_Request | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._busy = 0

    def begin(self, request: _Request) -> None:
        """Have a thread make a request; called by one thread only, as `note_end` is."""
        self._busy += 1
        if self._busy > len(self._threads):
            thread = daemon(self._work, "looker-request")
            self._threads.append(thread)
            thread.start()
        self._begun.put(request)

    def note_end(self) -> None:
        """Note that a request has ended: its thread is free for the next."""
        self._busy -= 1

    def end(self) -> None:
        """Let the threads end with what they do."""
        for _ in self._threads:
            self._begun.put(None)

    def join(self, until: float) -> None:
        """Wait until they have ended, but for all of them together not past `until`."""
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.now()))

    def _work(self) -> None:
        while request := self._begun.get():
            for report in self._perform(request):
                self._reports.put(report)


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
            if not isinstance(error, RequestRejectedError | ValueError):
                # It may be there the next time.
                with self._lock:
                    del self._futures[key]
            future.set_exception(error)
