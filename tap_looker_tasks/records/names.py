"""Names of columns and streams that every target accepts unchanged."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

QUERY_TASK_ID = "_query_task_id"
ROW_NUMBER = "_row_number"
ROW_KEY = "_row_key"
OWN_NAMES = frozenset({QUERY_TASK_ID, ROW_NUMBER, ROW_KEY})
"""Columns of query streams that are not fields of the query."""
# Of text that the tap writes itself.
MAX_KEY_LENGTH = 255
_HASH_DIGITS = 8
# Some targets do not quote names, or not with these: DuckDB's, PipelineWise's.
_UNSAFE = re.compile(r'["`\\\x00-\x1f\x7f-\x9f\u2028\u2029]')


def column_name(field: str) -> str:
    """Name the column of a field: `orders.created_date` -> `orders__created_date`."""
    return field.replace(".", "__")


def shorten(name: str, longest: int) -> str:
    """Shorten a name of more than `longest` bytes, and end it in a hash of the full name."""
    return name if len(name.encode()) <= longest else _with_hash(name, name, longest)


def name_columns(fields: Iterable[str], longest: int) -> dict[str, str]:
    """Choose the name of each field's column.

    Three kinds of names end in a hash of the field, the same in every query: those above
    `longest` bytes, which targets cut or reject; those that differ by case only, which many
    targets treat as one; and those with quotes or control characters, which become `_`.
    """
    by_case = defaultdict(set)
    names = {field: column_name(field) for field in fields}
    for name in (*OWN_NAMES, *names.values()):
        by_case[name.lower()].add(name)
    return {
        field: _with_hash(_UNSAFE.sub("_", name), field, longest)
        if len(by_case[name.lower()]) > 1 or len(name.encode()) > longest or _UNSAFE.search(name)
        else name
        for field, name in names.items()
    }


def find_column_name(field: str, names: Iterable[str]) -> str | None:
    """Return the name of a field's column among those of a stream; None if it has none."""
    names = frozenset(names)
    if (name := column_name(field)) in names:
        return name
    ending = f"_{_hash(field)}"
    return next((name for name in sorted(names) if name.endswith(ending)), None)


def describe_renamed(names: dict[str, str], longest: int) -> list[str]:
    """Return, one line each, fields whose columns have unusual names, and why."""
    by_case = defaultdict(list)
    for field, name in names.items():
        if name != column_name(field):
            by_case[column_name(field).lower()].append(field)
    return [
        f"{' and '.join(map(repr, fields))} would be columns whose names differ by case only, "
        f"which many targets take for one: they become {' and '.join(names[f] for f in fields)}"
        if len(fields) > 1
        else f"{fields[0]!r} would be a column whose name has more than {longest} bytes "
        "(max_name_length), quotes or control characters, or differs from another by case only: "
        f"it becomes {names[fields[0]]}"
        for fields in by_case.values()
    ]


def _with_hash(name: str, hashed: str, longest: int) -> str:
    # Half a character may be left over.
    kept = name.encode()[: longest - _HASH_DIGITS - 1].decode(errors="ignore")
    return f"{kept}_{_hash(hashed)}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
