"""Puts https before a simulated Looker, and serves the one operation that it lacks."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

_HOST = "127.0.0.1"
_PASSED_ON = ("Authorization", "Content-Type")


class _Handler(BaseHTTPRequestHandler):
    """Hands requests on, but for the search for Looks."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, upstream: str, *connection: Any) -> None:
        self._upstream = upstream
        super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not url.path.endswith("/looks/search"):
            self._hand_on()
            return
        ids = parse_qs(url.query).get("id", [""])[0].split(",")
        looks = [{"id": id_, "title": f"Look {id_}", "model": {"id": None}} for id_ in ids]
        self._send(200, json.dumps(looks).encode())

    def do_POST(self) -> None:
        self._hand_on()

    def do_DELETE(self) -> None:
        self._hand_on()

    @override
    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: self.headers[name] for name in _PASSED_ON if self.headers[name]}
        connection = http.client.HTTPConnection(self._upstream)
        try:
            connection.request(self.command, self.path, body, headers)
            response = connection.getresponse()
            self._send(response.status, response.read())
        finally:
            connection.close()

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Take the simulator's address and a file with key and certificate; serve until SIGTERM."""
    base_url, certificate = sys.argv[1:3]
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    handler = partial(_Handler, urlsplit(base_url).netloc)
    with ThreadingHTTPServer((_HOST, 0), handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdout.write(f"{_HOST}:{server.server_port}\n")
        sys.stdout.flush()
        stopped.wait()
        server.shutdown()


if __name__ == "__main__":
    main()
