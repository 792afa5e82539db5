"""Payloads of query tasks in every result format, from a query's result."""

from __future__ import annotations

import csv
import html
import io
import zipfile
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime
    from typing import Self

    from looker_simulator.engine import QueryFailedError, QueryResult
    from looker_simulator.model import Field

JSON_FORMATS = frozenset({"inline_json", "json", "json_bi", "json_detail", "json_fe"})
TEXT_FORMATS = frozenset({"csv", "html", "md", "sql", "txt", "xlsx"})
DETAILED_FORMATS = frozenset({"json_detail", "json_fe"})
"""Formats that have a place for errors."""
UNWRITTEN_FORMATS = frozenset({"gsxml", "jpg", "odc", "pdf", "png"})
"""Formats of Looker that are rejected: images, and those of spreadsheet programs."""
_ENCODER = msgspec.json.Encoder(decimal_format="number")
_ROWS_AT_ONCE = 1000
_PIVOT_SEPARATOR = "|FIELD|"
_ROW_TOTAL = "$$$_row_total_$$$"
GROUPING = "$$$__grouping__$$$"
"""In a row of a subtotal: the dimensions that it groups by."""
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
    """Options that change the form of a result.

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
        """Return the options of a task."""
        return cls(**{name: bool(about.get(name)) for name in cls.__dataclass_fields__})


def encode(value: object) -> bytes:
    """Return a value as JSON, with every digit."""
    return _ENCODER.encode(value)


def _encode_rows(rows: Iterable[Mapping[str, Any]]) -> msgspec.Raw:
    """Return rows as a JSON array, encoded in parts: as objects, they take ten times the memory."""
    rest = iter(rows)
    array = bytearray(b"[")
    while some := [*islice(rest, _ROWS_AT_ONCE)]:
        array += b"," if len(array) > 1 else b""
        array += encode(some)[1:-1]
    array += b"]"
    return msgspec.Raw(array)


def build_payload(
    result: QueryResult,
    result_format: str,
    *,
    query_task_id: str,
    runtime_seconds: float,
    ran_at: datetime,
    options: ResultOptions = ResultOptions(),
) -> object:
    """Build the payload of a complete task, ready for `encode`."""
    if options.apply_vis:
        result = _apply_vis(result)
    if options.apply_formatting and result_format not in {"json_bi", "sql", *DETAILED_FORMATS}:
        result = _format_values(result)
    if result_format in DETAILED_FORMATS:
        payload = _json_detail(result, options)
        payload["id"] = query_task_id
        payload["runtime"] = f"{runtime_seconds:.3f}"
        payload["ran_at"] = ran_at.isoformat()
        return payload
    if result_format == "json_bi":
        return _json_bi(result, options)
    if result_format in {"inline_json", "json"}:
        return _encode_rows(_flat_rows(result))
    return result.sql if result_format == "sql" else write_text(result_format, _table(result))


def build_failure(failure: QueryFailedError, result_format: str, *, query_task_id: str) -> object:
    """Build the payload of a task whose query cannot be run, ready for `encode`."""
    if failure.sql is None:
        return {"id": query_task_id, "error": failure.message}
    if result_format in DETAILED_FORMATS:
        return {
            "id": query_task_id,
            "sql": failure.sql or None,
            "fields": {"dimensions": [], "measures": [], "table_calculations": [], "pivots": []},
            "data": [],
            "errors": [
                {
                    "message": "The database rejected the query.",
                    "message_details": failure.message,
                    "params": failure.sql or None,
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
        return {"metadata": {"sql": failure.sql or None}, "rows": [row]}
    return [row] if result_format in {"inline_json", "json"} else failure.message


def _json_detail(result: QueryResult, options: ResultOptions) -> dict[str, Any]:
    fill_fields = result.query.get("fill_fields") or []
    payload: dict[str, Any] = {
        "from_cache": False,
        "id": None,
        "truncated": result.truncated,
        "ran_at": None,
        "runtime": None,
        "added_params": {
            "sorts": result.query.get("sorts") or [],
            "query_timezone": result.timezone,
        },
        "sql": result.sql or None,
        "fields": _fields(result),
        "fill_fields": [f for f in _fields(result)["dimensions"] if f["name"] in fill_fields],
        "has_totals": result.totals is not None,
        "has_row_totals": bool(result.row_totals),
        "applied_filters": _applied_filters(result),
        "number_format": "1,234.56",
        "explore": {"name": result.explore.name, "label": result.explore.title},
        "timezone": result.timezone,
        "data": _encode_rows(_dressed(row, options) for row in _cell_rows(result)),
        "drill_menu_build_time": 0.001,
    }
    if result.pivots:
        payload["pivots"] = [*_pivot_columns(result)]
    if result.totals is not None:
        payload["totals_data"] = _dressed(_total_row(result), options)
    if result.subtotals:
        payload["subtotals_data"] = {
            str(depth): [_dressed(row, options) for row in _subtotal_rows(result, depth)]
            for depth in result.subtotals
        }
    return payload


def _json_bi(result: QueryResult, options: ResultOptions) -> dict[str, Any]:
    rows = chain(
        _cell_rows(result),
        *(_subtotal_rows(result, depth) for depth in sorted(result.subtotals, reverse=True)),
        [] if result.totals is None else [_total_row(result)],
    )
    return {
        "metadata": {
            "fields": _fields(result),
            "pivots": [*_pivot_columns(result)],
            "has_totals": result.totals is not None,
            "has_subtotals": bool(result.subtotals),
            "columns_truncated": result.columns_truncated,
            "sql": result.sql or None,
            "filters": _applied_filters(result),
            "bigquery_metadata": None,
        },
        "rows": _encode_rows(_dressed(row, options) for row in rows),
    }


def _total_row(result: QueryResult) -> dict[str, Any]:
    return next(_spread(result, result.totals or ()), {})


def _subtotal_rows(result: QueryResult, depth: int) -> Iterator[dict[str, Any]]:
    """Yield the rows of a subtotal, marked with the dimensions that it groups by."""
    for row in _spread(result, result.subtotals[depth]):
        yield {**row, GROUPING: result.dimensions[:depth]}


def _dressed(row: dict[str, Any], options: ResultOptions) -> dict[str, Any]:
    """Return a row whose cells have the options' additions beside their values."""
    if not (options.apply_formatting or options.generate_drill_links):
        return row
    return {name: _dressed_cell(cell, options) for name, cell in row.items()}


def _dressed_cell(cell: Any, options: ResultOptions) -> Any:  # noqa: ANN401 - JSON
    if not isinstance(cell, dict):
        return cell
    if "value" not in cell:
        return {key: _dressed_cell(inner, options) for key, inner in cell.items()}
    rendered = {"rendered": _formatted(cell["value"])} if options.apply_formatting else {}
    return {**cell, **rendered, **({"links": []} if options.generate_drill_links else {})}


def _formatted(value: object) -> object:
    """Return a number in the form that users read; anything else unchanged."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return f"{value:,}" if is_number else value


def _format_values(result: QueryResult) -> QueryResult:
    def formatted(row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _formatted(value) for name, value in row.items()}

    rows = [tuple(map(_formatted, row)) for row in result.rows]
    totals = None if result.totals is None else [formatted(row) for row in result.totals]
    row_totals = {
        tuple(map(_formatted, key)): formatted(row) for key, row in result.row_totals.items()
    }
    return replace(result, rows=rows, totals=totals, row_totals=row_totals)


def _apply_vis(result: QueryResult) -> QueryResult:
    """Remove the fields that `vis_config` hides, and rename others by its labels."""
    config = result.query.get("vis_config") or {}
    hidden, labels = config.get("hidden_fields"), config.get("series_labels")
    hidden = hidden if isinstance(hidden, list) else []
    labels = labels if isinstance(labels, dict) else {}
    places = [n for n, name in enumerate(result.columns) if name not in hidden]
    return replace(
        result,
        fields=tuple(
            replace(field, label=str(labels.get(field.name, field.label)))
            for field in result.fields
            if field.name not in hidden
        ),
        columns=tuple(result.columns[n] for n in places),
        rows=[tuple(row[n] for n in places) for row in result.rows],
    )


def _applied_filters(result: QueryResult) -> dict[str, Any]:
    filters = result.query.get("filters") or {}
    return {name: {"value": expression} for name, expression in filters.items()}


def _fields(result: QueryResult) -> dict[str, list[dict[str, Any]]]:
    described: dict[str, list[dict[str, Any]]] = {
        "dimensions": [],
        "measures": [],
        "pivots": [],
        "table_calculations": [],
    }
    for field in result.fields:
        described[_category(result, field)].append(_described(result, field))
    return described


def _category(result: QueryResult, field: Field) -> str:
    if field.name in result.pivots:
        return "pivots"
    if _is_known(result, field) or field.name in _custom_fields(result):
        return "measures" if field.is_measure else "dimensions"
    return "table_calculations"


def _is_known(result: QueryResult, field: Field) -> bool:
    return field.name in result.explore.fields


def _custom_fields(result: QueryResult) -> set[str]:
    text = result.query.get("dynamic_fields")
    found = (msgspec.json.decode(text) if text else None) or []
    return {field.get("dimension") or field.get("measure") for field in found}


def _described(result: QueryResult, field: Field) -> dict[str, Any]:
    if not _is_known(result, field):
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


def _flat_rows(result: QueryResult) -> Iterator[dict[str, Any]]:
    if result.pivots:
        for row in _cell_rows(result):
            yield {
                name: _flattened(cell, is_pivoted=name in _pivoted_names(result))
                for name, cell in row.items()
            }
    else:
        for values in result.rows:
            yield dict(zip(result.columns, values, strict=True))


def _flattened(cell: dict[str, Any], *, is_pivoted: bool) -> object:
    if not is_pivoted:
        return cell["value"]
    return {key: inner["value"] for key, inner in cell.items()}


def _cell_rows(result: QueryResult) -> Iterator[dict[str, Any]]:
    return _spread(result, result.found)


def _spread(result: QueryResult, found: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield rows of cells; a measure's cell has a cell for each pivot value."""
    if not result.pivots:
        for row in found:
            yield {name: {"value": value} for name, value in row.items()}
        return
    keys = [key for key, _ in _pivot_values(result)]
    rows: dict[tuple[Any, ...], dict[str, Any]] = {}
    for values in found:
        key = _pivot_key(result, values)
        dimensions = {n: {"value": values[n]} for n in result.dimensions if n in values}
        measures = [name for name in result.measures if name in values]
        row = rows.setdefault(
            result.key_of(values),
            dimensions | {name: {each: {"value": None} for each in keys} for name in measures},
        )
        for name in measures:
            # Pivot values beyond the column limit have no column.
            if key in row[name]:
                row[name][key] = {"value": values[name]}
    for dimension_values, row in rows.items():
        for name, value in result.row_totals.get(dimension_values, {}).items():
            if name in result.measures:
                row[name][_ROW_TOTAL] = {"value": value}
        yield row


def _pivoted_names(result: QueryResult) -> set[str]:
    return {*result.measures}


def _pivot_key(result: QueryResult, cells: Mapping[str, Any]) -> str:
    values = (cells[name] for name in result.pivots)
    return _PIVOT_SEPARATOR.join("NULL" if value is None else str(value) for value in values)


def _pivot_values(result: QueryResult) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each pivot value once, by its key, in order."""
    found: dict[str, dict[str, Any]] = {}
    for values in result.rows:
        cells = dict(zip(result.columns, values, strict=True))
        found[_pivot_key(result, cells)] = {name: cells[name] for name in result.pivots}
    yield from sorted(found.items())


def _pivot_columns(result: QueryResult) -> Iterator[dict[str, Any]]:
    if not result.pivots:
        return
    for key, data in _pivot_values(result):
        metadata = {n: {"field": n, "value": v, "rendered": str(v)} for n, v in data.items()}
        yield {"key": key, "is_total": False, "data": data, "metadata": metadata}
    if result.row_totals:
        yield {"key": _ROW_TOTAL, "is_total": True, "data": {}, "metadata": {}}


def _table(result: QueryResult) -> Table:
    """Return a result as a table; pivot values are columns, under separate heading lines."""
    labels = {field.name: field.label for field in result.fields}
    if not result.pivots:
        names = result.columns
        rows = [[row.get(name) for name in names] for row in result.found]
        rows += [[total.get(name) for name in names] for total in result.totals or ()]
        return Table([[labels[name] for name in names]], rows)
    dimensions, measures = result.dimensions, result.measures
    columns = [*_pivot_columns(result)]
    cells = [*_cell_rows(result), *([_total_row(result)] if result.totals is not None else [])]
    places = [(column["key"], name) for column in columns for name in measures]
    blank = [""] * max(len(dimensions) - 1, 0)
    heads = [
        [
            *(*blank, labels[pivot])[-max(len(dimensions), 1) :],
            *(_head(column, pivot) for column in columns for _ in measures),
        ]
        for pivot in result.pivots
    ]
    if not dimensions:
        heads = [head[1:] for head in heads]
    heads.append([*(labels[name] for name in dimensions), *(labels[name] for _, name in places)])
    rows = [
        [
            *(row.get(name, {}).get("value") for name in dimensions),
            *(row.get(name, {}).get(key, {}).get("value") for key, name in places),
        ]
        for row in cells
    ]
    return Table(heads, rows)


def _head(column: Mapping[str, Any], pivot: str) -> str:
    return "Row Totals" if column["is_total"] else write_value(column["data"].get(pivot))


# Texts in XML cannot contain other control characters.
_NOT_IN_XML = {n: None for n in range(32) if n not in {9, 10, 13}}
_TYPES = (
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/workbook.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.spreadsheetml.sheet.main+xml"/>'
    '<Override PartName="/sheet.xml" ContentType="application/vnd.openxmlformats-'
    'officedocument.spreadsheetml.worksheet+xml"/></Types>'
)
_RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships/{0}" Target="{1}"/></Relationships>'
)
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_WORKBOOK = (
    f'<workbook xmlns="{_MAIN}" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/'
    'relationships"><sheets><sheet name="Results" sheetId="1" r:id="r1"/></sheets></workbook>'
)


class Table(NamedTuple):
    """A result in the form that users see.

    Attributes:
        heads: Lines of labels; with pivots, one for each pivot before that of the fields.
        rows: Values.
    """

    heads: list[list[str]]
    rows: Sequence[Sequence[object]]


def write_text(result_format: str, table: Table) -> str:
    """Return a table in one of Looker's formats; xlsx as text whose characters are its bytes."""
    return _WRITERS[result_format](table)


def write_value(value: object) -> str:
    """Return a value as text; empty for null."""
    if value is None:
        return ""
    if isinstance(value, list):
        return ", ".join(map(write_value, value))
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _lines(table: Table) -> list[list[str]]:
    return [*table.heads, *([write_value(value) for value in row] for row in table.rows)]


def _separated(table: Table, delimiter: str) -> str:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(_lines(table))
    return text.getvalue()


def _md(table: Table) -> str:
    lines = _lines(table)
    lines.insert(len(table.heads), ["---"] * len(table.heads[-1]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _html(table: Table) -> str:
    lines = "".join(
        f"<tr>{''.join(f'<{tag}>{html.escape(text)}</{tag}>' for text in line)}</tr>"
        for number, line in enumerate(_lines(table))
        for tag in ("th" if number < len(table.heads) else "td",)
    )
    return f"<table>{lines}</table>"


def _xlsx(table: Table) -> str:
    lines: list[Sequence[object]] = [*table.heads, *table.rows]
    rows = "".join(f"<row>{''.join(map(_cell, line))}</row>" for line in lines)
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONS.format("officeDocument", "workbook.xml"),
        "workbook.xml": _WORKBOOK,
        "_rels/workbook.xml.rels": _RELATIONS.format("worksheet", "sheet.xml"),
        "sheet.xml": f'<worksheet xmlns="{_MAIN}"><sheetData>{rows}</sheetData></worksheet>',
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(name, f'<?xml version="1.0" encoding="UTF-8"?>{text}')
    return file.getvalue().decode("latin-1")


def _cell(value: object) -> str:
    text = html.escape(write_value(value)).translate(_NOT_IN_XML)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return f"<c><v>{text}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'


_WRITERS: Mapping[str, Callable[[Table], str]] = {
    "csv": lambda table: _separated(table, ","),
    "html": _html,
    "md": _md,
    "txt": lambda table: _separated(table, "\t"),
    "xlsx": _xlsx,
}
