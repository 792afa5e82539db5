"""A stand-in for Looker's API that serves ready bytes and counts the calls."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import msgspec
from typing_extensions import override

from bench.payloads import number_of, query_task_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

_HOST = "127.0.0.1"
_SENT_AT_ONCE = 1 << 16
_TOKEN = {"access_token": "stub", "token_type": "Bearer", "expires_in": 3600}
_UNFINISHED = b'{"status":"running"}'


@dataclass
class Stub:
    """What is served, and what was requested.

    Attributes:
        entries: what a response says of a finished task; of task n, the nth in turn.
        explore: the metadata of every Explore.
        is_finished: shows whether a task is, by its number.
        round_trip: seconds that pass before any request is served.
        calls: so far, by operation.
        first_at: seconds of the monotonic clock at the first of them.
    """

    entries: list[mmap]
    explore: bytes
    is_finished: Callable[[int], bool] = lambda _: True
    round_trip: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    first_at: float | None = None
    created: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, folder: Path, **options: Any) -> Stub:
        """Serve what `payloads.build` wrote."""
        entries = [_mapped(path) for path in sorted(folder.glob("entry-*.json"))]
        return cls(entries, (folder / "explore.json").read_bytes(), **options)

    def count(self, operation: str) -> int:
        """Count a call; return how many came before it."""
        with self.lock:
            self.first_at = self.first_at or time.monotonic()
            self.calls[operation] += 1
            return self.calls[operation] - 1

    def read_and_reset(self) -> dict[str, Any]:
        """Return the calls since the last time."""
        with self.lock:
            shown = {"calls": dict(self.calls), "first_at": self.first_at}
            self.calls.clear()
            self.first_at = None
            return shown

    def multi_results(self, ids: list[str]) -> list[bytes | mmap]:
        """Put together a response, in pieces."""
        pieces: list[bytes | mmap] = []
        for id_ in ids:
            number = number_of(id_)
            finished = self.is_finished(number)
            entry = self.entries[number % len(self.entries)] if finished else _UNFINISHED
            pieces += (b'{"' if not pieces else b',"', id_.encode(), b'":', entry)
        return [*pieces, b"}"] if pieces else [b"{}"]


def _mapped(path: Path) -> mmap:
    with path.open("rb") as file:
        return mmap(file.fileno(), 0, access=ACCESS_READ)


class _Handler(BaseHTTPRequestHandler):
    """Responds to requests; nothing about them is checked."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, stub: Stub, *connection: Any) -> None:
        self._stub = stub
        super().__init__(*connection)

    @override
    def parse_request(self) -> bool:
        time.sleep(self._stub.round_trip)
        return super().parse_request()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path.endswith("/multi_results"):
            self._stub.count("query_task_multi_results")
            ids = parse_qs(url.query).get("query_task_ids", [""])[0]
            self._send(self._stub.multi_results(ids.split(",") if ids else []))
        elif url.path == "/calls":
            self._send_json(self._stub.read_and_reset())
        elif "/lookml_models/" in url.path:
            self._stub.count("lookml_model_explore")
            self._send([self._stub.explore])
        else:
            self._stub.count("query")
            self._send_json({"id": url.path.rpartition("/")[2]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        operation = urlsplit(self.path).path.rpartition("/")[2]
        before = self._stub.count(operation)
        if operation == "query_tasks":
            about = msgspec.json.decode(body)
            self._send_json({**about, "id": query_task_id(before), "status": "added"})
        elif operation == "queries":
            self._send_json({**msgspec.json.decode(body), "id": str(before + 1)})
        else:
            self._send_json(_TOKEN)

    def do_DELETE(self) -> None:
        self._stub.count(urlsplit(self.path).path.rpartition("/")[2])
        self.send_response(204)
        self.end_headers()

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _send_json(self, value: object) -> None:
        self._send([msgspec.json.encode(value)])

    def _send(self, pieces: list[bytes | mmap]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for piece in _grouped(pieces):
            self.wfile.write(piece)


def _grouped(pieces: Iterable[bytes | mmap]) -> Iterator[bytes | bytearray | mmap]:
    """Send little pieces together, and large ones without a copy."""
    group = bytearray()
    for piece in pieces:
        if len(piece) >= _SENT_AT_ONCE:
            yield group
            group = bytearray()
            yield piece
        else:
            group += piece
    yield group


@contextmanager
def serving(stub: Stub) -> Iterator[str]:
    """Serve from a thread of this process; gives the base URL."""
    with ThreadingHTTPServer((_HOST, 0), partial(_Handler, stub)) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://{_HOST}:{server.server_port}"
        server.shutdown()
        thread.join()


def main() -> None:
    """Serve until SIGTERM; the first line printed is the base URL.

    The arguments are a folder, and the seconds of a round trip.
    """
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    with serving(Stub.of(Path(sys.argv[1]), round_trip=float(sys.argv[2]))) as base_url:
        sys.stdout.write(f"{base_url}\n")
        sys.stdout.flush()
        stopped.wait()


if __name__ == "__main__":
    main()
