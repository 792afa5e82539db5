"""What faults answer in place of the truth."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import JSONResponse, RedirectResponse, Response

from looker_simulator.responses import JSON, answer_error, answer_page

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from looker_simulator.faults import Fault

_DEMANDED = "A fault on demand"
_MEGABYTE = 1 << 20
_BOMB_MEGABYTES = 1024
_RAW_DEFLATE = -15
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def _limited(retry_after: str | None, status: int = 429) -> Response:
    response = answer_error(status, _DEMANDED)
    if retry_after is not None:
        response.headers["Retry-After"] = retry_after
    return response


def _date_after(seconds: float) -> str:
    moment = datetime.now(UTC) + timedelta(seconds=seconds)
    return format_datetime(moment, usegmt=True)


_ANSWERS: Mapping[str, Callable[[Fault], Response]] = {
    "rate_limited": lambda _: _limited("0"),
    "rate_limited_seconds": lambda fault: _limited(f"{fault.seconds:g}"),
    "rate_limited_date": lambda fault: _limited(_date_after(fault.seconds)),
    "rate_limited_nonsense": lambda _: _limited("nan"),
    "rate_limited_bare": lambda _: _limited(None),
    "server_error": lambda _: answer_error(500, _DEMANDED),
    "error_drip": lambda _: answer_error(500, _DEMANDED),
    "bad_gateway": lambda _: answer_page(502, "502 Bad Gateway"),
    "unavailable": lambda _: _limited("0", 503),
    "gateway_timeout": lambda _: answer_page(504, "504 Gateway Time-out"),
    "bad_request": lambda _: answer_error(400, _DEMANDED),
    "token_lost": lambda _: answer_error(401, "Requires authentication."),
    "forbidden": lambda _: answer_error(403, "Forbidden"),
    "not_found": lambda _: answer_error(404, "Not found"),
    "not_found_html": lambda _: answer_page(404, "404 Not Found"),
    "uri_too_long": lambda _: answer_page(414, "414 URI Too Long"),
    "validation_failed": lambda _: answer_error(422, "Validation Failed"),
    "redirected": lambda _: RedirectResponse("https://elsewhere.test/", 302),
    "not_json": lambda _: answer_page(200, "Sign in"),
    "invalid_json": lambda _: Response(b'{"status": "comp', media_type=JSON),
    "not_a_map": lambda _: JSONResponse([]),
}


def find_answer(faults: Mapping[str, Fault], query_task_ids: Collection[str]) -> Response | None:
    """Return what the faults answer in place of the truth; None: nothing.

    It may take a second: run it on a thread.
    """
    for name, fault in faults.items():
        if name in _ANSWERS:
            return _ANSWERS[name](fault)
        if name == "gzip_bomb":
            return _bomb(200, query_task_ids)
        if name == "error_bomb":
            return _bomb(500, ())
    return None


def _bomb(status: int, query_task_ids: Collection[str]) -> Response:
    """Answer with one string of a gigabyte, well packed: data of the first task, or a message."""
    head, tail = b'{"message":"', b'"}'
    for id_ in [*query_task_ids][:1]:
        head = b"{" + msgspec.json.encode(id_) + b':{"status":"complete","data":"'
        tail = b'"}}'
    return Response(_packed(head, tail), status, {"Content-Encoding": "gzip"}, JSON)


@cache
def _packed(head: bytes, tail: bytes) -> bytes:
    """Build a head, a gigabyte of one letter and a tail, packed, without ever having them."""
    megabyte = b"a" * _MEGABYTE
    checksum = zlib.crc32(head)
    for _ in range(_BOMB_MEGABYTES):
        checksum = zlib.crc32(megabyte, checksum)
    checksum = zlib.crc32(tail, checksum)
    size = len(head) + _MEGABYTE * _BOMB_MEGABYTES + len(tail)
    end = checksum.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    # Each part starts afresh, so that one packed megabyte can stand for all.
    parts = (_flushed(head), _flushed(megabyte) * _BOMB_MEGABYTES, _finished(tail))
    return _GZIP_HEAD + b"".join(parts) + end


def _flushed(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return packer.compress(text) + packer.flush(zlib.Z_FULL_FLUSH)


def _finished(text: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, _RAW_DEFLATE)
    return packer.compress(text) + packer.flush(zlib.Z_FINISH)
