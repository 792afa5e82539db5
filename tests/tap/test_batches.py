"""With `batch_config`, rows go out in files: the SDK's own, only faster, and never too early."""

from __future__ import annotations

import gzip
import json
import re
import tempfile
from decimal import Decimal
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk import Stream
from upath import UPath

from tap_looker_tasks.singer.message_writer import split_lines
from tap_looker_tasks.streams.base import RowStream
from tests.tap.test_chunks import VALUES, scripted
from tests.tap.test_streams import select, with_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.singer import Run

    Tap = Callable[..., Run]

UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
QUERY = {"name": "found", "query_id": 1, "primary_keys": ["airlines.name"]}


def batches(folder: Path, compression: str | None = "gzip", **more: Any) -> dict[str, Any]:
    encoding = {"format": "jsonl"} | ({"compression": compression} if compression else {})
    storage = {"root": (folder / "files").as_uri(), "prefix": "some-"}
    return {"encoding": encoding, "storage": storage, **more}


def files(run: Run, folder: Path, stream: str = "found") -> list[list[dict[str, Any]]]:
    """The rows of each file that BATCH messages name."""
    assert run.exit_code == 0, run.log
    names = [
        url.rpartition("/")[2]
        for message in run.of("BATCH")
        if message["stream"] == stream
        for url in message["manifest"]
    ]
    contents = [(folder / "files" / name).read_bytes() for name in names]
    return [[json.loads(line, parse_float=Decimal) for line in lines(c)] for c in contents]


def lines(content: bytes) -> list[bytes]:
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    assert text.endswith(b"\n")
    return text[:-1].split(b"\n")


def take_the_sdks_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RowStream, "get_batches", Stream.get_batches)
    monkeypatch.setattr(RowStream, "goes_in_chunks", property(lambda _: False))


def test_files_are_those_of_the_sdk(
    simulator: Simulator, tap: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [scripted(simulator, [VALUES] * count) for count in (9, 0, 1, 8)]
    config = {"query_task_ids": ids, "batch_config": batches(tmp_path, batch_size=4)}
    ours = tap(**config, catalog=with_rows(tap))
    found = files(ours, tmp_path, "query_task_rows")
    take_the_sdks_way(monkeypatch)
    theirs = tap(**config, catalog=with_rows(tap))
    assert found == files(theirs, tmp_path, "query_task_rows")
    # The tasks are delivered in whatever order they complete.
    assert sorted(map(len, found)) == [1, 1, 4, 4, 4, 4]
    names = [
        [UUID.sub("ID", url) for m in run.of("BATCH") for url in m["manifest"]]
        for run in (ours, theirs)
    ]
    assert names[0] == names[1]
    assert [m["encoding"] for m in ours.of("BATCH")] == [m["encoding"] for m in theirs.of("BATCH")]


def test_typed_rows_in_a_file_are_those_of_records(tap: Tap, tmp_path: Path) -> None:
    config: dict[str, Any] = {"queries": [{"name": "found", "query_id": 7, "limit": 40}]}
    plain = tap(**config).records("found")
    (rows,) = files(tap(**config, batch_config=batches(tmp_path)), tmp_path)
    for record in (*plain, *rows):
        # The database may order rows that are equal as it likes.
        del record["_query_task_id"], record["_row_number"]
    assert sorted(map(repr, rows)) == sorted(map(repr, plain))


@pytest.mark.parametrize("compression", [None, "none"])
def test_a_file_need_not_be_compressed(tap: Tap, tmp_path: Path, compression: str | None) -> None:
    run = tap(queries=[QUERY], batch_config=batches(tmp_path, compression))
    ((path,),) = [message["manifest"] for message in run.of("BATCH")]
    assert path.endswith("-1.json")
    assert len(lines((tmp_path / "files" / path.rpartition("/")[2]).read_bytes())) == 16


def test_selection_and_a_stream_map_also_apply_in_files(tap: Tap, tmp_path: Path) -> None:
    catalog = json.loads(tap("--discover", queries=[QUERY]).output)
    select(catalog, "found", "properties", "flights__count", selected=False)
    config = {
        "queries": [QUERY],
        "batch_config": batches(tmp_path, batch_size=5),
        "catalog": catalog,
    }
    plain = [row for rows in files(tap(**config), tmp_path) for row in rows]
    assert all("flights__count" not in row for row in plain)
    maps = {"found": {"airlines__name": "airlines__name.upper()", "__alias__": "airlines"}}
    run = tap(**config, stream_maps=maps)
    assert [len(rows) for rows in files(run, tmp_path, "airlines")] == [5, 5, 5, 1]
    rows = [row for rows in files(run, tmp_path, "airlines") for row in rows]
    names = [row["airlines__name"].upper() for row in plain]
    assert [row["airlines__name"] for row in rows] == names


def test_a_stream_that_becomes_several_is_rejected(tap: Tap, tmp_path: Path) -> None:
    maps = {"found": {}, "copy": {"__source__": "found"}}
    run = tap(queries=[QUERY], batch_config=batches(tmp_path), stream_maps=maps)
    assert run.exit_code == 78
    assert run.error == "stream_maps: found cannot become several streams with `batch_config`"


def test_state_comes_after_the_file_that_holds_the_last_row(
    simulator: Simulator, tap: Tap, tmp_path: Path
) -> None:
    ids = [scripted(simulator, [VALUES] * 9) for _ in range(3)]
    config = batches(tmp_path, batch_size=4)
    run = tap(query_task_ids=ids, catalog=with_rows(tap), batch_config=config)
    files_so_far = 0
    for message in run.messages:
        files_so_far += message["type"] == "BATCH"
        if message["type"] == "STATE":
            finished = message["value"]["bookmarks"]["query_task_results"].get("finished", {})
            assert 3 * len(finished) <= files_so_far
    assert files_so_far == 9
    assert {*run.outcomes()} == {*ids}


def test_no_version_is_activated(tap: Tap, tmp_path: Path) -> None:
    run = tap(queries=[QUERY], batch_config=batches(tmp_path))
    assert run.of("ACTIVATE_VERSION") == []
    assert run.log.count("found: rows of earlier runs stay in the target") == 1


def test_a_test_run_writes_no_file(tap: Tap, tmp_path: Path) -> None:
    run = tap("--test", queries=[QUERY], batch_config=batches(tmp_path))
    assert len(run.records("found")) == 1
    assert not (tmp_path / "files").exists()


def test_a_file_that_cannot_be_stored_ends_the_run_in_one_line(
    tap: Tap, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "files").write_text("in the way")
    run = tap(queries=[QUERY], batch_config=batches(tmp_path))
    assert run.exit_code == 1
    assert run.error.startswith("batch_config.storage: cannot write some-tap-looker-tasks--found-")
    assert "Traceback" not in run.log
    assert "found" in run.bookmark["in_flight"]
    assert [*(tmp_path / "temporary").iterdir()] == []


@pytest.mark.parametrize("config", [{"encoding": {"format": "jsonl"}}, {"storage": {"root": "x"}}])
def test_a_part_that_is_missing_is_named(tap: Tap, config: dict[str, Any]) -> None:
    run = tap(queries=[QUERY], batch_config=config)
    assert run.exit_code == 78
    assert run.error.startswith("batch_config: needs `encoding` with `format`, and `storage` with")


def test_parquet_goes_the_sdks_way(tap: Tap, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    config = batches(tmp_path) | {"encoding": {"format": "parquet"}}
    plain = tap(queries=[QUERY]).records("found")
    run = tap(queries=[QUERY], batch_config=config)
    ((url,),) = [message["manifest"] for message in run.of("BATCH")]
    rows = parquet.read_table(tmp_path / "files" / url.rpartition("/")[2]).to_pylist()
    for record in (*plain, *rows):
        del record["_query_task_id"]
    assert rows == plain


@pytest.mark.skipif(find_spec("pyarrow") is not None, reason="pyarrow is installed")
def test_parquet_without_its_extra_is_one_line(tap: Tap, tmp_path: Path) -> None:
    config = batches(tmp_path) | {"encoding": {"format": "parquet"}}
    run = tap(queries=[QUERY], batch_config=config)
    assert run.exit_code == 1
    assert run.error == (
        "batch_config: No module named 'pyarrow'; install tap-looker-tasks[parquet]"
    )
    assert not run.of("BATCH")


def test_files_may_be_stored_elsewhere(tap: Tap, tmp_path: Path) -> None:
    config = batches(tmp_path) | {"storage": {"root": "memory://bucket/some/folder"}}
    run = tap(queries=[QUERY], batch_config=config)
    ((url,),) = [message["manifest"] for message in run.of("BATCH")]
    assert url.startswith("memory://bucket/some/folder/tap-looker-tasks--found-")
    assert len(lines(UPath(url).read_bytes())) == 16


def test_lines_are_split_between_two_rows() -> None:
    assert split_lines(b"a\nb\nc\n", 2) == (b"a\nb\n", b"c\n")
    assert split_lines(b"a\nb\n", 2) == (b"a\nb\n", b"")
