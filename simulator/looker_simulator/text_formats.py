"""Text formats of a result's table: csv, txt, md, html and xlsx."""

from __future__ import annotations

import csv
import html
import io
import zipfile
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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
