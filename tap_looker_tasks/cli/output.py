"""Output of commands: tables, folded on a terminal and one line per row in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO
from urllib.parse import urlsplit

from tap_looker_tasks.launching import CheckResult, Content, Verdict
from tap_looker_tasks.records import ExploreField
from tap_looker_tasks.wording import Findings, one_line

_STYLES = {Verdict.GOOD: "green", Verdict.NOTE: "yellow", Verdict.FAILS: "bold red"}
# Wider than any row: programs that read a table need unbroken lines.
_PIPE_COLUMNS = 10_000
# Columns of a terminal that a name or address to copy leaves to the rest of its row.
_OTHER_COLUMNS = 32


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    file: TextIO,
    *,
    is_last_copied: bool = False,
) -> None:
    """Print a table.

    Args:
        headings: Heading of each column.
        rows: Cells of each row.
        file: Where to print it.
        is_last_copied: Whether the last column is for copying, so that the others are folded first.
    """
    # Imported here, because it takes 0.1 s.
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    styles = {verdict.value: style for verdict, style in _STYLES.items()}
    console = Console(file=file, width=None if file.isatty() else _PIPE_COLUMNS)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    if is_last_copied:
        longest = max(len(row[-1]) for row in rows)
        table.columns[-1].width = max(1, min(longest, console.width - _OTHER_COLUMNS))
    for row in rows:
        # Names come from outside: none of them may contain markup, or move the cursor.
        cells = [Text(one_line(" ".join(cell.split()))) for cell in row]
        cells[0].stylize(styles.get(row[0], ""))
        table.add_row(*cells)
    console.print(table)


def print_findings(findings: Iterable[CheckResult], file: TextIO) -> None:
    """Print the results of `--doctor`."""
    rows = [(found.verdict.value, found.subject, found.details) for found in findings]
    print_table(("", "What", "How it is"), rows, file)


def print_content(found: Findings[Content], file: TextIO) -> None:
    """Print the result of a search, and below it the configuration of the first of each kind."""
    if found.values:
        _print_pages([(c.kind, c.title, c.place, c.source) for c in found.values], file)
    else:
        print("This user can see nothing with these words; try fewer.", file=file)
    for note in found.notes:
        print(f"Note: {note}", file=file)
    for line in _entries(found.values):
        print(line, file=file)


def print_choices(pages: Iterable[Content], file: TextIO) -> None:
    """Print pages to choose from, numbered from 1."""
    rows = [(f"{n} {c.kind}", c.title, c.place, c.source) for n, c in enumerate(pages, start=1)]
    _print_pages(rows, file)


def _print_pages(rows: Iterable[tuple[str, str, str, str]], file: TextIO) -> None:
    headings = ("What", "Title", "Folder, or what it is about", "Address, or model/explore")
    # A terminal has no room for the host, which is the same for all, and need not be pasted.
    shown = [(*others, _path(source) if file.isatty() else source) for *others, source in rows]
    print_table(headings, shown, file, is_last_copied=True)


def _path(source: str) -> str:
    return urlsplit(source).path if "://" in source else source


def _entries(content: Sequence[Content]) -> Iterable[str]:
    """Yield a configuration of the first Look and dashboard, and the next step of an Explore."""
    first = {one.kind: one.source for one in reversed(content)}
    if "Look" in first:
        yield f"queries:\n- url: {first['Look']}"
    if "dashboard" in first:
        yield f"dashboards:\n- url: {first['dashboard']}"
    if "Explore" in first:
        yield f"Fields of an Explore: tap-looker-tasks --config ... --find {first['Explore']}"


def print_fields(model: str, explore: str, fields: Sequence[ExploreField], file: TextIO) -> None:
    """Print the fields of an Explore, and below them a configuration to shorten."""
    rows = [(_kind(f), f.type or "", f.label or "", f.description or "", f.name) for f in fields]
    headings = ("Kind", "Type", "Label", "Description", "Name")
    print_table(headings, rows, file, is_last_copied=True)
    usable = [field.name for field in fields if not field.is_filter_only and not field.is_hidden]
    source = f"{{model: {model}, explore: {explore}, fields: [{', '.join(usable[:3])}]}}"
    print(f"queries:\n- name: {explore.lower()}\n  explore: {source}", file=file)


def _kind(field: ExploreField) -> str:
    filter_only = " (filter only)" if field.is_filter_only else ""
    return f"{field.category}{filter_only}{' (hidden)' if field.is_hidden else ''}"
