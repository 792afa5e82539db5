"""The least that has to be done with the stub's responses: decode, encode and compress, or copy."""

from __future__ import annotations

import sys
import zlib
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import msgspec
import requests

from bench.payloads import FIELDS, query_task_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_BATCH = 50
_CHUNK_BYTES = 1 << 20
_ENCODER = msgspec.json.Encoder()
_ROWS_OF = {"json_detail": "data", "json_bi": "rows"}


class _Cell(msgspec.Struct, gc=False):
    value: object


class _Data(msgspec.Struct, gc=False):
    data: list[dict[str, _Cell]] = []
    rows: list[dict[str, _Cell]] = []


class _Entry(msgspec.Struct, gc=False):
    data: _Data


_PLACES = {f"column_{place}": name for place, name in enumerate(FIELDS)}
_Row = msgspec.defstruct("_Row", [(place, _Cell) for place in _PLACES], rename=_PLACES, gc=False)
_Record = msgspec.defstruct("_Record", [*_PLACES], rename=_PLACES, gc=False)


class _DeclaredData(msgspec.Struct, gc=False):
    data: list[_Row]  # type: ignore[valid-type]


class _DeclaredEntry(msgspec.Struct, gc=False):
    data: _DeclaredData


def copy(response: requests.Response) -> None:
    """Hand on a body unchanged."""
    for chunk in response.iter_content(_CHUNK_BYTES):
        sys.stdout.buffer.write(chunk)


def rows_in(name: str) -> Callable[[requests.Response], None]:
    """Make what decodes the rows under a name, and encodes a message for each."""

    def decode_and_encode(response: requests.Response) -> None:
        for entry in msgspec.json.decode(response.content, type=dict[str, msgspec.Raw]).values():
            rows = msgspec.json.decode(entry)["data"][name]
            sys.stdout.buffer.write(_ENCODER.encode_lines(_messages(rows)))

    return decode_and_encode


def declared_rows(response: requests.Response) -> None:
    """Decode rows whose shape is declared, and encode a message for each."""
    for raw in msgspec.json.decode(response.content, type=dict[str, msgspec.Raw]).values():
        found = msgspec.json.decode(raw, type=_Entry).data
        messages = _messages_of_declared(found.data or found.rows)
        sys.stdout.buffer.write(_ENCODER.encode_lines(messages))


def compressed_rows(response: requests.Response) -> None:
    """Decode rows whose columns are declared, too, and compress a line for each."""
    with TemporaryFile() as file:
        for raw in msgspec.json.decode(response.content, type=dict[str, msgspec.Raw]).values():
            rows = msgspec.json.decode(raw, type=_DeclaredEntry).data.data
            cells = zip(*map(msgspec.structs.astuple, rows), strict=True)
            columns = [[cell.value for cell in column] for column in cells]
            file.write(zlib.compress(_ENCODER.encode_lines([*map(_Record, *columns)]), 1))


def _messages_of_declared(rows: list[dict[str, _Cell]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        record = {name: cell.value for name, cell in row.items()}
        yield {"type": "RECORD", "stream": "rows", "record": record}


def _messages(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        record = {name: cell["value"] for name, cell in row.items()}
        yield {"type": "RECORD", "stream": "rows", "record": record}


def _handler(kind: str) -> Callable[[requests.Response], None]:
    if kind in _ROWS_OF:
        return rows_in(_ROWS_OF[kind])
    return {"declared": declared_rows, "compressed": compressed_rows, "copy": copy}[kind]


def main() -> None:
    """Take the kind, the stub's address and the number of tasks from the command line."""
    kind, base_url, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    handle = _handler(kind)
    with requests.Session() as session:
        for start in range(0, count, _BATCH):
            ids = map(query_task_id, range(start, min(count, start + _BATCH)))
            url = f"{base_url}/api/4.0/query_tasks/multi_results?query_task_ids={','.join(ids)}"
            with session.get(url, stream=True) as response:
                response.raise_for_status()
                handle(response)


if __name__ == "__main__":
    main()
