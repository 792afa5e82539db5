"""A task's payload in any result format, read into a `Result`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from types import MappingProxyType
from typing import Any

import msgspec

from tap_looker_tasks.results.entries import ABSENT, TaskEntry
from tap_looker_tasks.results.json_text import (
    NULL,
    TEXT,
    MalformedResponseError,
    as_object,
    as_objects,
    as_text,
    check_integers,
    quoted,
    read_json,
)
from tap_looker_tasks.results.result import (
    OBJECT_OF_RAWS,
    ROW_TOTAL,
    ROWS,
    Field,
    Pivot,
    Result,
    first_byte,
)

Errors = tuple[Mapping[str, object], ...]

_SUBTOTAL = "$$$__grouping__$$$"
_SUBTOTAL_MARK = _SUBTOTAL.encode()
_ERROR_ROW = "looker_error"
_ERROR_KEY = b'"looker_error"'
_COMPLETE = "complete"
_ERROR = "error"
_CATEGORIES = MappingProxyType(
    {"dimensions": "dimension", "measures": "measure", "table_calculations": "table_calculation"}
)
_BOOLEANS = MappingProxyType({"true": True, "false": False})
_NOT_TRUNCATED = frozenset({"", "false", "no", "none", "null", "0"})


class _Metadata(msgspec.Struct):
    """The keys that describe rows: beside them in `json_detail`, in `metadata` in `json_bi`."""

    from_cache: Any = None
    truncated: Any = None
    runtime: Any = None
    added_params: Any = None
    timezone: Any = None
    fields: Any = None
    pivots: Any = None
    has_totals: Any = None
    columns_truncated: Any = None


class _Payload(_Metadata):
    """The keys of `json_detail` and `json_bi`; rows stay undecoded until they are read."""

    data: msgspec.Raw = ABSENT
    rows: msgspec.Raw = ABSENT
    metadata: Any = None
    errors: Any = None
    error: Any = None


class _AnyObject(msgspec.Struct, gc=False):
    """A row of which only the type is checked."""


_PAYLOAD = msgspec.json.Decoder(_Payload, float_hook=Decimal)
_OBJECTS = msgspec.json.Decoder(list[_AnyObject])


def read_result(entry: TaskEntry) -> Result:
    """Read the payload of a task.

    Raises:
        MalformedResponseError: If the payload cannot be understood at all.
    """
    if entry.data is None:
        return Result(entry.status)
    first = first_byte(entry.data)
    if first == b"{":
        return _read_object(entry, read_json(_PAYLOAD.decode, entry.data))
    if first == b"[":
        return _conclude(Result(entry.status, "json"), (), _arrays(entry, entry.data))
    text = read_json(TEXT.decode, entry.data)
    if entry.status == _COMPLETE:
        return Result(_COMPLETE, text=text)
    return _conclude(Result(entry.status), _as_errors(text), None)


def _read_object(entry: TaskEntry, payload: _Payload) -> Result:
    reported = _as_errors(payload.errors) + _as_errors(payload.error)
    is_bi = first_byte(payload.rows) == b"["
    metadata = msgspec.convert(as_object(payload.metadata), _Metadata) if is_bi else payload
    rows = payload.rows if is_bi else payload.data
    has_rows = first_byte(rows) == b"["
    is_detail = has_rows or payload.data == NULL
    null = next((key for key in ("data", "rows") if getattr(payload, key) == NULL), None)
    if null and not has_rows and not reported and entry.status == _COMPLETE:
        reported = _as_errors(f"the result has no rows: `{null}` is null")
    columns_truncated = _reads_true(metadata.columns_truncated)
    result = _conclude(
        Result(
            entry.status,
            "json_bi" if is_bi else "json_detail" if is_detail else None,
            from_cache=_flag(metadata.from_cache),
            truncated=columns_truncated or _flag(metadata.truncated),
            columns_truncated=columns_truncated,
            runtime_seconds=_seconds(metadata.runtime),
            time_zone=as_text(as_object(metadata.added_params).get("query_timezone"))
            or as_text(metadata.timezone),
            fields=_fields(metadata.fields),
            pivots=_pivots(metadata.pivots),
            has_totals=metadata.has_totals is True,
        ),
        reported,
        _arrays(entry, rows) if has_rows else None,
    )
    if result.status == _COMPLETE and not is_detail:
        msg = "an object with neither rows nor an error in it"
        raise MalformedResponseError(msg)
    return result


def _arrays(entry: TaskEntry, array: msgspec.Raw) -> Iterable[bytes]:
    return (bytes(array),) if entry.rows is None else entry.rows


def _conclude(result: Result, reported: Errors, arrays: Iterable[bytes] | None) -> Result:
    """Add errors, or the rows if there are none, and correct the status."""
    found: Mapping[str, Any] = {}
    if arrays is not None and not any(error.get("fatal") is not False for error in reported):
        found, in_rows = _rows(result, arrays)
        reported += in_rows
    errors = tuple(error for error in reported if error.get("fatal") is not False)
    warnings = tuple(error for error in reported if error.get("fatal") is False)
    status = result.status
    if status == _COMPLETE and errors:
        status = _ERROR
    elif status == _ERROR and warnings and not errors:
        status = _COMPLETE
    return replace(
        result,
        status=status,
        errors=errors,
        warnings=warnings,
        error_message=_message(errors[0]) if errors else None,
        **found if status == _COMPLETE else {},
    )


def _rows(result: Result, arrays: Iterable[bytes]) -> tuple[dict[str, Any], Errors]:
    """Read the rows once; return their facts for the result, and the errors among them.

    Looker appends an error to the rows when the database breaks off while they stream.
    """
    errors: list[Mapping[str, object]] = []

    def searched() -> Iterator[bytes]:
        for array in arrays:
            errors.extend(_error_rows(array))
            yield array

    # `json_bi` appends the column totals to the rows; `json_detail` keeps them apart.
    ends_with_totals = result.result_format == "json_bi" and result.has_totals
    count = sum(map(_count, _WithoutTotals(searched(), ends_with_totals=ends_with_totals)))
    rows = _WithoutTotals(arrays, ends_with_totals=ends_with_totals)
    is_long = not isinstance(arrays, tuple)
    return {"row_count": count, "arrays": rows, "is_long": is_long}, tuple(errors)


@dataclass(frozen=True, slots=True)
class _WithoutTotals:
    """Arrays of rows without column totals and subtotals."""

    arrays: Iterable[bytes]
    ends_with_totals: bool

    def __iter__(self) -> Iterator[bytes]:
        arrays = iter(self.arrays)
        array = next(arrays, None)
        while array is not None:
            following = next(arrays, None)
            yield self._strip_totals(array, is_last=following is None)
            array = following

    def _strip_totals(self, array: bytes, *, is_last: bool) -> bytes:
        has_totals = self.ends_with_totals and is_last
        # One character is found ten times as fast as several.
        may_have_subtotals = _SUBTOTAL_MARK[:1] in array and _SUBTOTAL_MARK in array
        if not has_totals and not may_have_subtotals:
            return array
        rows = read_json(ROWS.decode, array)
        rows = rows[:-1] if has_totals else rows
        kept = (r for r in rows if _SUBTOTAL not in read_json(OBJECT_OF_RAWS.decode, r))
        return b"[%b]" % b",".join(kept)


def _count(array: bytes) -> int:
    """Count the rows.

    Raises:
        MalformedResponseError: If a row is not an object, or has an integer that is too long to
            read.
    """
    check_integers(array)
    try:
        return len(_OBJECTS.decode(array))
    except (msgspec.DecodeError, RecursionError):
        pass
    rows = read_json(ROWS.decode, array)
    for row in rows:
        if first_byte(row) != b"{":
            msg = f"a row that is not an object: {quoted(memoryview(row))}"
            raise MalformedResponseError(msg)
    return len(rows)


def _error_rows(array: bytes) -> Iterator[Mapping[str, object]]:
    """Yield the errors among the rows, each the only key of its row, under HTTP 200."""
    # This search avoids reading all the rows; from the end, it takes half the time.
    if array.rfind(_ERROR_KEY) < 0:
        return
    for row in read_json(ROWS.decode, array):
        if _ERROR_KEY in memoryview(row).tobytes() and first_byte(row) == b"{":
            cells = read_json(OBJECT_OF_RAWS.decode, row)
            if cells.keys() == {_ERROR_ROW} and first_byte(cells[_ERROR_ROW]) == b'"':
                yield {"message": read_json(TEXT.decode, cells[_ERROR_ROW])}


def _as_errors(found: object) -> Errors:
    if not found:
        return ()
    if isinstance(found, list):
        return tuple(error for entry in found for error in _as_errors(entry))
    if isinstance(found, dict):
        return (found,)
    return ({"message": str(found)},)


def _message(error: Mapping[str, object]) -> str:
    """Return an error on one line."""
    message = _one_line(error.get("message"))
    details = _one_line(error.get("message_details"))
    if details in message:
        return message or "an error without a message"
    if not message:
        return details
    return f"{message} {details}" if message.endswith((".", ":", "!")) else f"{message}: {details}"


def _fields(found: object) -> tuple[Field, ...] | None:
    if not isinstance(found, dict):
        return None
    groups = {
        group: [e for e in as_objects(found.get(group)) if isinstance(e.get("name"), str)]
        for group in (*_CATEGORIES, "pivots")
    }
    pivots = {entry["name"] for entry in groups["pivots"]}
    dimensions = {entry["name"] for entry in groups["dimensions"]}
    # A pivot is a dimension, whether or not it is listed among them.
    groups["dimensions"] += [e for e in groups["pivots"] if e["name"] not in dimensions]
    return tuple(
        Field(
            name=entry["name"],
            label=as_text(entry.get("label")),
            type=as_text(entry.get("type")),
            category=category,
            is_pivot=category == "dimension" and entry["name"] in pivots,
        )
        for group, category in _CATEGORIES.items()
        for entry in groups[group]
    )


def _pivots(found: object) -> tuple[Pivot, ...]:
    return tuple(
        Pivot(
            key=key,
            is_total=entry.get("is_total") is True or key == ROW_TOTAL,
            data=as_object(entry.get("data")),
        )
        for entry in as_objects(found)
        if isinstance(key := entry.get("key"), str)
    )


def _one_line(found: object) -> str:
    return " ".join(found.split()) if isinstance(found, str) else ""


def _flag(found: object) -> bool | None:
    """Read a boolean, which is text in some responses."""
    if isinstance(found, str):
        return _BOOLEANS.get(found.strip().lower())
    return found if isinstance(found, bool) else None


def _reads_true(found: object) -> bool:
    """Read `columns_truncated`: documented as text, without its values."""
    if isinstance(found, str):
        return found.strip().lower() not in _NOT_TRUNCATED
    return found is True


def _seconds(found: object) -> float | None:
    """Read a duration, which `json_detail` writes as a string."""
    if isinstance(found, bool) or not isinstance(found, str | int | Decimal):
        return None
    try:
        seconds = float(found)
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None
