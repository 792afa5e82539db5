"""What the tap needs of singer-sdk's inside: listed in one place, there, and as it was."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import singer_sdk
from singer_sdk.mapper import SameRecordTransform

from tap_looker_tasks.singer.message_writer import PacedStateWriter, RecordChunk
from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.singer import Run

    Tap = Callable[..., Run]

ROOT = Path(__file__).parent.parent.parent
LISTED = re.findall(
    r"^\| `([\w.]+)` \|", (ROOT / "docs" / "sdk-seams.md").read_text(), re.MULTILINE
)
SDK_FILES = ("plugin_base.py", "tap_base.py", "io_base.py", "streams/core.py", "mapper.py")
PACKAGES = ("tap.py", "streams/*.py", "cli/*.py", "singer/*.py")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def names_in(path: Path) -> set[str]:
    """Attributes, methods and imported names of a module."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("singer_sdk"):
            found |= {*(node.module or "").split("."), *(alias.name for alias in node.names)}
    return found


@pytest.mark.parametrize("name", LISTED)
def test_what_is_listed_is_there(name: str) -> None:
    parts = name.split(".")
    depth = next(n for n in range(len(parts), 0, -1) if is_module(parts[:n]))
    found: Any = import_module(".".join(["singer_sdk", *parts[:depth]]))
    for part in parts[depth:]:
        owner, found = found, inspect.getattr_static(found, part, None)
        # What is not there is set when an instance is made.
        assert found or re.search(rf"self\.{part}(: .*)? = ", inspect.getsource(owner))


def is_module(parts: list[str]) -> bool:
    path = Path(singer_sdk.__path__[0], *parts)
    return path.with_suffix(".py").exists() or path.is_dir()


def test_no_other_private_name_of_the_sdk_is_used() -> None:
    sdk = Path(singer_sdk.__path__[0])
    known = set().union(*(names_in(sdk / file) for file in SDK_FILES))
    private = {*filter(is_private, known | {path.stem for path in sdk.rglob("*.py")})}
    package = ROOT / "tap_looker_tasks"
    files = [path for pattern in PACKAGES for path in package.glob(pattern)]
    used = set().union(*map(names_in, files)) & private
    assert used == {part for name in LISTED for part in name.split(".") if is_private(part)}


def test_a_record_passes_the_sdk_as_the_same_object(
    tap: Tap, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: list[tuple[object, object]] = []

    def transform(map_: SameRecordTransform, record: dict[str, Any]) -> dict[str, Any] | None:
        passed.append((record, original(map_, record)))
        return record

    original = SameRecordTransform.transform
    monkeypatch.setattr(SameRecordTransform, "transform", transform)
    assert tap(queries=[{"name": "found", "query_id": 1}]).exit_code == 0
    assert any(isinstance(record, RecordChunk) for record, _ in passed)
    assert all(record is result for record, result in passed)


def test_rows_that_do_not_arrive_fail_the_run(tap: Tap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SameRecordTransform, "transform", lambda _, record: dict(record))
    run = tap(queries=[{"name": "found", "query_id": 1}])
    assert run.exit_code == 1
    assert run.error.startswith("found: 16 rows did not reach the output, because singer-sdk 0.54")
    assert "Traceback" not in run.log
    assert "found" in run.bookmark["in_flight"]


def test_state_is_written_by_the_taps_own_writer() -> None:
    config = {"base_url": "http://127.0.0.1", "client_id": "x", "client_secret": "x"}
    tap = TapLookerTasks(config=config, parse_env_config=False)
    assert type(tap.state_writer) is PacedStateWriter
    assert tap.state_writer is tap._state_writer  # noqa: SLF001 - the SDK reads it there


def test_no_version_is_announced_before_its_rows(tap: Tap) -> None:
    run = tap(emit_activate_version_messages=True)
    assert (run.exit_code, run.output) == (78, b"")
    assert run.error == "emit_activate_version_messages: no such setting"
    assert not any("emit_activate_version" in name for name in TapLookerTasks.config_jsonschema)
