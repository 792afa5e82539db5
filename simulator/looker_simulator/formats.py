"""A query's answer -> the payload of a query task, in every format."""

from __future__ import annotations

import csv
import html
import io
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from typing import Self

    from looker_simulator.engine import Answer, QueryFailedError
    from looker_simulator.model import Field

JSON_FORMATS = frozenset({"inline_json", "json", "json_bi", "json_detail", "json_fe"})
TEXT_FORMATS = frozenset({"csv", "html", "md", "sql", "txt", "xlsx"})
DETAILED_FORMATS = frozenset({"json_detail", "json_fe"})
"""Formats that have a place for errors."""
UNWRITTEN_FORMATS = frozenset({"gsxml", "jpg", "odc", "pdf", "png"})
"""Formats of Looker that are refused: images, and what only spreadsheets of others read."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PIVOT_SEPARATOR = "|FIELD|"
_ROW_TOTAL = "$$$_row_total_$$$"
NOTE = {
    "message": "Note: This query contains derived tables with Development Mode filters. "
    "Query results in Production Mode might be different.",
    "message_details": None,
    "fatal": False,
    "level": "warning",
}
"""The entry in `errors` that development mode causes."""


@dataclass(frozen=True)
class ResultOptions:
    """How a result is written.

    Attributes:
        apply_formatting: Whether numbers are written as text, with separators of thousands.
        apply_vis: Whether fields hidden by `vis_config` are left out, and its labels apply.
        generate_drill_links: Whether cells have links; there are none.
    """

    apply_formatting: bool = False
    apply_vis: bool = False
    generate_drill_links: bool = False

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> Self:
        """Read the options of a task."""
        return cls(**{name: bool(about.get(name)) for name in cls.__dataclass_fields__})


def encode(value: object) -> bytes:
    """Write JSON, with every digit."""
    return _ENCODER.encode(value)


def build_payload(
    answer: Answer,
    result_format: str,
    *,
    query_task_id: str,
    runtime_seconds: float,
    ran_at: datetime,
    options: ResultOptions = ResultOptions(),
) -> object:
    """Build the payload of a complete task, ready for `encode`."""
    if result_format in DETAILED_FORMATS:
        payload = _json_detail(answer)
        payload["id"] = query_task_id
        payload["runtime"] = f"{runtime_seconds:.3f}"
        payload["ran_at"] = ran_at.isoformat()
        return payload
    if result_format == "json_bi":
        return _json_bi(answer)
    if result_format in {"inline_json", "json"}:
        return [*_flat_rows(answer)]
    return _TEXTS[result_format](answer)


def build_failure(failure: QueryFailedError, result_format: str, *, query_task_id: str) -> object:
    """Build the payload of a task whose query cannot be run, ready for `encode`."""
    if failure.sql is None:
        return {"id": query_task_id, "error": failure.message}
    if result_format in DETAILED_FORMATS:
        return {
            "id": query_task_id,
            "sql": failure.sql,
            "fields": {"dimensions": [], "measures": [], "table_calculations": [], "pivots": []},
            "data": [],
            "errors": [
                {
                    "message": "The database refused the query.",
                    "message_details": failure.message,
                    "params": failure.sql,
                    "edit_url": None,
                    "error_pos": None,
                    "level": "error",
                    "fatal": True,
                    "sql_error_loc": None,
                }
            ],
        }
    row = {"looker_error": failure.message}
    if result_format == "json_bi":
        return {"metadata": {"sql": failure.sql}, "rows": [row]}
    return [row] if result_format in {"inline_json", "json"} else failure.message


def _json_detail(answer: Answer) -> dict[str, Any]:
    payload: dict[str, Any] = {
        "from_cache": False,
        "id": None,
        "truncated": answer.truncated,
        "ran_at": None,
        "runtime": None,
        "added_params": {
            "sorts": answer.query.get("sorts") or [],
            "query_timezone": answer.timezone,
        },
        "sql": answer.sql,
        "fields": _fields(answer),
        "fill_fields": [],
        "has_totals": answer.totals is not None,
        "has_row_totals": bool(answer.row_totals),
        "applied_filters": _applied_filters(answer),
        "number_format": "1,234.56",
        "explore": {"name": answer.explore.name, "label": answer.explore.title},
        "timezone": answer.timezone,
        "data": [*_cell_rows(answer)],
        "drill_menu_build_time": 0.001,
    }
    if answer.pivots:
        payload["pivots"] = [*_pivot_columns(answer)]
    if answer.totals is not None:
        payload["totals_data"] = {name: {"value": value} for name, value in answer.totals.items()}
    return payload


def _json_bi(answer: Answer) -> dict[str, Any]:
    rows = [*_cell_rows(answer)]
    if answer.totals is not None:
        rows.append({name: {"value": value} for name, value in answer.totals.items()})
    return {
        "metadata": {
            "fields": _fields(answer),
            "pivots": [*_pivot_columns(answer)],
            "has_totals": answer.totals is not None,
            "has_subtotals": False,
            "columns_truncated": answer.columns_truncated,
            "sql": answer.sql,
            "filters": _applied_filters(answer),
            "bigquery_metadata": None,
        },
        "rows": rows,
    }


def _applied_filters(answer: Answer) -> dict[str, Any]:
    filters = answer.query.get("filters") or {}
    return {name: {"value": expression} for name, expression in filters.items()}


def _fields(answer: Answer) -> dict[str, list[dict[str, Any]]]:
    described: dict[str, list[dict[str, Any]]] = {
        "dimensions": [],
        "measures": [],
        "pivots": [],
        "table_calculations": [],
    }
    for field in answer.fields:
        described[_category(answer, field)].append(_described(answer, field))
    return described


def _category(answer: Answer, field: Field) -> str:
    if field.name in answer.pivots:
        return "pivots"
    if _is_known(answer, field) or field.name in _custom_fields(answer):
        return "measures" if field.is_measure else "dimensions"
    return "table_calculations"


def _is_known(answer: Answer, field: Field) -> bool:
    return field.name in answer.explore.fields


def _custom_fields(answer: Answer) -> set[str]:
    text = answer.query.get("dynamic_fields")
    found = (msgspec.json.decode(text) if text else None) or []
    return {field.get("dimension") or field.get("measure") for field in found}


def _described(answer: Answer, field: Field) -> dict[str, Any]:
    if not _is_known(answer, field):
        return {"name": field.name, "label": field.label, "type": field.type}
    return {
        "name": field.name,
        "label": field.label,
        "label_short": field.label_short,
        "type": field.type,
        "view": field.view,
        "category": field.category,
        "measure": field.is_measure,
        "is_numeric": field.is_numeric,
        "description": field.description,
        "hidden": False,
    }


def _flat_rows(answer: Answer) -> Iterator[dict[str, Any]]:
    if answer.pivots:
        for row in _cell_rows(answer):
            yield {
                name: _flattened(cell, is_pivoted=name in _pivoted_names(answer))
                for name, cell in row.items()
            }
    else:
        for values in answer.rows:
            yield dict(zip(answer.columns, values, strict=True))


def _flattened(cell: dict[str, Any], *, is_pivoted: bool) -> object:
    if not is_pivoted:
        return cell["value"]
    return {key: inner["value"] for key, inner in cell.items()}


def _cell_rows(answer: Answer) -> Iterator[dict[str, Any]]:
    if not answer.pivots:
        for values in answer.rows:
            cells = zip(answer.columns, values, strict=True)
            yield {name: {"value": value} for name, value in cells}
        return
    measures = _pivoted_names(answer)
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    keys = {key: None for key, _ in _pivot_values(answer)}
    for values in answer.rows:
        found = dict(zip(answer.columns, values, strict=True))
        dimensions = {n: v for n, v in found.items() if n not in measures | {*answer.pivots}}
        row = rows.setdefault(
            tuple(dimensions.values()),
            {n: {"value": v} for n, v in dimensions.items()}
            | {n: {key: {"value": None} for key in keys} for n in found if n in measures},
        )
        for name in measures:
            row[name][_pivot_key(answer, found)] = {"value": found[name]}
    for dimension_values, row in rows.items():
        for name, value in answer.row_totals.get(dimension_values, {}).items():
            row[name][_ROW_TOTAL] = {"value": value}
        yield row


def _pivoted_names(answer: Answer) -> set[str]:
    return {f.name for f in answer.fields if f.is_measure and f.name in answer.columns}


def _pivot_key(answer: Answer, cells: Mapping[str, Any]) -> str:
    values = (cells[name] for name in answer.pivots)
    return _PIVOT_SEPARATOR.join("NULL" if value is None else str(value) for value in values)


def _pivot_values(answer: Answer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pivot value once, by its key, in order."""
    found: dict[str, dict[str, Any]] = {}
    for values in answer.rows:
        cells = dict(zip(answer.columns, values, strict=True))
        found[_pivot_key(answer, cells)] = {name: cells[name] for name in answer.pivots}
    yield from sorted(found.items())


def _pivot_columns(answer: Answer) -> Iterator[dict[str, Any]]:
    if not answer.pivots:
        return
    for key, data in _pivot_values(answer):
        metadata = {n: {"field": n, "value": v, "rendered": str(v)} for n, v in data.items()}
        yield {"key": key, "is_total": False, "data": data, "metadata": metadata}
    if answer.row_totals:
        yield {"key": _ROW_TOTAL, "is_total": True, "data": {}, "metadata": {}}


def _csv(answer: Answer) -> str:
    return _separated(answer, ",")


def _txt(answer: Answer) -> str:
    return _separated(answer, "\t")


def _separated(answer: Answer, delimiter: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(_labels(answer))
    writer.writerows(_texts(answer))
    return text.getvalue()


def _md(answer: Answer) -> str:
    lines = [_labels(answer), ["---"] * len(answer.columns)]
    lines += _texts(answer)
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _html(answer: Answer) -> str:
    heads = "".join(f"<th>{html.escape(label)}</th>" for label in _labels(answer))
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(text)}</td>" for text in row) + "</tr>"
        for row in _texts(answer)
    )
    return f"<table><tr>{heads}</tr>{rows}</table>"


def _labels(answer: Answer) -> list[str]:
    return [field.label for field in answer.fields if field.name in answer.columns]


def _texts(answer: Answer) -> Iterator[list[str]]:
    for row in answer.rows:
        yield [_text(value) for value in row]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


_TEXTS = {
    "csv": _csv,
    "html": _html,
    "md": _md,
    "sql": lambda answer: answer.sql,
    "txt": _txt,
}
