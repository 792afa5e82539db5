"""Files of state and catalog as people hand them to the tap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.singer import Run

    Tap = Callable[..., Run]


DEEP = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize("option", ["state", "catalog"])
@pytest.mark.parametrize(
    "text", ["[5]", '{"bookmarks": {"query_task_results": {"fin', '"\ud800"', DEEP]
)
def test_a_file_is_rejected_in_one_line(tap: Tap, tmp_path: Path, option: str, text: str) -> None:
    path = tmp_path / "given"
    path.write_bytes(text.encode(errors="surrogatepass"))
    run = tap(f"--{option}", str(path))
    assert run.exit_code == 78
    assert run.error.startswith(f"{path}: ")
    assert "Traceback" not in run.log
    assert run.output == b""


@pytest.mark.parametrize("text", ["", "null", '{"bookmarks": null}'])
def test_no_state_is_reported(tap: Tap, tmp_path: Path, text: str) -> None:
    path = tmp_path / "given"
    path.write_text(text)
    run = tap("--state", str(path))
    assert run.exit_code == 0
    assert f"{path}: ignored null and empty entries" in run.log


@pytest.mark.parametrize("content", ["null", DEEP])
def test_a_config_that_cannot_be_read_is_one_line(tap: Tap, tmp_path: Path, content: str) -> None:
    path = tmp_path / "given"
    path.write_text(content)
    run = tap("--config", str(path))
    assert run.exit_code == 78
    assert "cannot be read as a JSON file" in run.error
    assert "Traceback" not in run.log
