"""Threads of the tap and their inbox; no other module above `looker` starts a thread."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from queue import SimpleQueue
from threading import Event as Signal, Lock, Thread
from typing import Any, Generic, TypeVar

from tap_looker_tasks.errors import NoThreadError, RequestRejectedError
from tap_looker_tasks.looker import Clock

_Request = TypeVar("_Request")
_Report = TypeVar("_Report")
_T = TypeVar("_T")
_Key = TypeVar("_Key")
_Found = TypeVar("_Found")

_MAX_WAIT_SECONDS = 60.0


def daemon(target: Callable[[], None], name: str) -> Thread:
    """Build a thread that does not keep the process alive if it hangs in the operating system."""
    return Thread(target=target, name=name, daemon=True)


@contextmanager
def starting() -> Iterator[None]:
    """Turn Python's error of a thread that cannot be started into one line.

    Raises:
        NoThreadError: If it cannot be started.
    """
    try:
        yield
    except RuntimeError as error:
        msg = (
            f"cannot start a thread ({error}); raise the limit of processes and threads, such as "
            "`ulimit -u` or `pids` of a container, or free memory"
        )
        raise NoThreadError(msg) from error


class Inbox:
    """A queue from many threads to one that may wait for items."""

    def __init__(self, clock: Clock) -> None:
        """Start empty."""
        self._clock = clock
        self._things: deque[Any] = deque()
        self._signal = Signal()

    def put(self, *things: object) -> None:
        """Add items, and wake the waiting thread."""
        self._things.extend(things)
        # The waiting thread clears the event before it takes, so it takes what was put before this
        # line.
        if not self._signal.is_set():
            self._signal.set()

    def take_all(self) -> Iterator[Any]:
        """Yield the items that are there, without waiting."""
        while self._things:
            yield self._things.popleft()

    def each(self) -> Iterator[Any]:
        """Yield the items that are there, without waiting; each stays until the next is requested.

        So an interrupt loses none: the item that it came upon is the first of the next call.
        """
        while self._things:
            yield self._things[0]
            self._things.popleft()

    def wait(self, seconds: float) -> bool:
        """Block until an item arrives or `wake` is called; return whether either came in time."""
        is_there = bool(self._things) or self._clock.wait(
            self._signal, min(seconds, _MAX_WAIT_SECONDS)
        )
        self._signal.clear()
        return is_there

    def wake(self) -> None:
        """End the current wait, even without an item."""
        self._signal.set()


class Workers(Generic[_Request, _Report]):
    """Threads that perform requests: as many as there are concurrent requests."""

    def __init__(
        self, perform: Callable[[_Request], Iterable[_Report]], reports: Inbox, clock: Clock
    ) -> None:
        """Start without threads; reports go into an inbox."""
        self._clock = clock
        self._perform = perform
        self._reports = reports
        self._requests: SimpleQueue[_Request | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._busy = 0

    def begin(self, request: _Request) -> None:
        """Start a request in a thread; call this and `note_end` from one thread only."""
        self._busy += 1
        if self._busy > len(self._threads):
            self._add_thread()
        self._requests.put(request)

    def _add_thread(self) -> None:
        thread = daemon(self._work, "looker-request")
        # With fewer threads than requests, the request waits for one of them.
        with suppress(NoThreadError) if self._threads else nullcontext(), starting():
            thread.start()
            self._threads.append(thread)

    def note_end(self) -> None:
        """Record that a request has ended, so its thread is free for the next."""
        self._busy -= 1

    def end(self) -> None:
        """End each thread after its current request."""
        for _ in self._threads:
            self._requests.put(None)

    def join(self, until: float) -> None:
        """Wait until all threads have ended, at most until `until` in epoch seconds."""
        for thread in self._threads:
            thread.join(max(0.0, until - self._clock.now()))

    def _work(self) -> None:
        while request := self._requests.get():
            for report in self._perform(request):
                self._reports.put(report)


def map_concurrently(
    call: Callable[[_T], _Found], arguments: Iterable[_T], most: int
) -> list[_Found]:
    """Call a function with each argument, concurrently; return the results in order.

    The first exception, or an interrupt, is raised immediately: calls not yet started are dropped,
    and those in progress are left to the caller to end.
    """
    executor = ThreadPoolExecutor(most)
    try:
        with starting():
            futures = [executor.submit(call, argument) for argument in arguments]
        for future in wait(futures, return_when=FIRST_EXCEPTION).done:
            future.result()
        return [future.result() for future in futures]
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


class Lookups(Generic[_Key, _Found]):
    """Cache of lookups shared by threads; the first thread to request a key looks it up."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._futures: dict[_Key, Future[_Found]] = {}

    def find(self, key: _Key, look_up: Callable[[], _Found]) -> _Found:
        """Return the value of a key, looked up once; a rejection is kept and raised again."""
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
        except BaseException as error:  # noqa: BLE001 - the waiting thread must receive it
            if not isinstance(error, RequestRejectedError | ValueError):
                # It may be there the next time.
                with self._lock:
                    del self._futures[key]
            future.set_exception(error)
