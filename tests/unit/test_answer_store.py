"""Answers that wait, in memory and in files."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import tracemalloc
from typing import TYPE_CHECKING

import msgspec
import pytest

from tap_looker_tasks.errors import SpoolError
from tap_looker_tasks.results.entries import TaskEntry
from tap_looker_tasks.store.store import ResultStore, StoredResult

if TYPE_CHECKING:
    from pathlib import Path


def answer_of(size: int, number: int = 0) -> TaskEntry:
    return TaskEntry("complete", "query", msgspec.Raw(b'"%d%b"' % (number, b"x" * size)))


def folders(tmp_path: Path) -> list[Path]:
    return [*tmp_path.glob("tap-looker-tasks-*")]


def test_what_fits_stays_in_memory(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=100)
    held = [store.hold(answer_of(20, n)) for n in range(4)]
    assert folders(tmp_path) == []
    assert [answer.take() for answer in held] == [answer_of(20, n) for n in range(4)]
    assert store.hold(TaskEntry("killed")).take() == TaskEntry("killed")


def test_short_answers_stay_in_memory_however_many(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, memory_bytes=100, short_bytes=30)
    held = [store.hold(answer_of(20, n)) for n in range(100)]
    assert folders(tmp_path) == []
    assert [answer.take() for answer in held] == [answer_of(20, n) for n in range(100)]
    # They took nothing of what is there for longer ones.
    longer = [store.hold(answer_of(40, n)) for n in range(3)]
    assert store.bytes_on_disk == 43
    assert [answer.take() for answer in longer] == [answer_of(40, n) for n in range(3)]


def test_what_does_not_fit_goes_to_private_files_until_it_is_taken(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=100)
    in_memory, on_disk, discarded = (store.hold(answer_of(80, n)) for n in range(3))
    (folder,) = folders(tmp_path)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert store.bytes_on_disk == 2 * 83
    assert on_disk.size_bytes == in_memory.size_bytes == 83
    assert on_disk.take() == answer_of(80, 1)
    discarded.discard()
    assert store.bytes_on_disk == 0
    assert [*folder.iterdir()] == []
    assert in_memory.take() == answer_of(80)
    # Its place in memory is free again.
    store.hold(answer_of(80))
    assert store.bytes_on_disk == 0
    store.close()
    assert folders(tmp_path) == []


def test_rows_are_counted_until_nobody_needs_them(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    rows = store.new_rows()
    rows.append(b"[{}]")
    held = store.hold(TaskEntry("complete", data=msgspec.Raw(b"[]"), rows=rows))
    del rows
    assert store.bytes_on_disk == 5
    taken = held.take()
    assert taken.rows is not None
    assert [*taken.rows] == [b"[{}]\n"]
    del taken, held
    assert store.bytes_on_disk == 0
    rows = store.new_rows()
    rows.append(b"[{}]")
    store.hold(TaskEntry("complete", rows=rows)).discard()
    assert store.bytes_on_disk == 0


def test_many_answers_at_once_do_not_sum_up_in_memory(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=5_000_000)
    tracemalloc.start()
    try:
        held = [store.hold(answer_of(1_000_000, n)) for n in range(50)]
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        for n, answer in enumerate(held):
            assert answer.take() == answer_of(1_000_000, n)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()
    store.close()


def test_threads_may_use_it_at_once(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=10_000)
    failures: list[BaseException] = []

    def use(number: int) -> None:
        try:
            held = [(n, store.hold(answer_of(1_000, n))) for n in range(number, number + 20)]
            assert all(answer.take() == answer_of(1_000, n) for n, answer in held)
        except BaseException as error:  # noqa: BLE001 - it is looked at below
            failures.append(error)

    threads = [threading.Thread(target=use, args=(1_000 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.bytes_on_disk == 0
    # All of the memory is free again.
    assert [store.hold(answer_of(997)) for _ in range(10)]
    assert store.bytes_on_disk == 0


DIES = """
import os, sys
from pathlib import Path
from tap_looker_tasks.store.store import ResultStore
store = ResultStore(Path(sys.argv[1]))
store.new_rows().append(b"[]")
rows = store.new_rows()
rows.append(b"[]")
print(flush=True)
sys.stdin.read()
os._exit(1)
"""


def test_what_a_dead_process_left_is_removed_and_no_more(tmp_path: Path) -> None:
    other = tmp_path / "tap-looker-tasks-notes.txt"
    other.write_text("mine")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "tap-looker-tasks-link").symlink_to(elsewhere)
    with subprocess.Popen(
        [sys.executable, "-c", DIES, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (left,) = (path for path in folders(tmp_path) if path.is_dir() and not path.is_symlink())
        living = ResultStore(tmp_path)
        living.new_rows()
        assert left.exists()
    ResultStore(tmp_path).new_rows()
    assert not left.exists()
    assert other.exists()
    assert elsewhere.exists()
    living.close()


def test_a_folder_without_room_is_told_of(tmp_path: Path) -> None:
    store = ResultStore(tmp_path / "missing", short_bytes=0, memory_bytes=0)
    with pytest.raises(SpoolError, match=r"does not fit into .*missing .*; set TMPDIR"):
        store.hold(answer_of(1))
    if os.getuid():
        tmp_path.chmod(0o500)
        with pytest.raises(SpoolError, match="Permission denied"):
            ResultStore(tmp_path).new_rows()


def test_an_answer_is_released_once(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=10)
    held: StoredResult = store.hold(answer_of(5))
    held.take()
    held.discard()
    store.hold(answer_of(5))
    store.hold(answer_of(5))
    assert store.bytes_on_disk == 8
    store.close()


def test_an_answer_that_somebody_removed_is_missed(tmp_path: Path) -> None:
    store = ResultStore(tmp_path, short_bytes=0, memory_bytes=0)
    rows = store.new_rows()
    assert [*rows] == []
    rows.append(b"[{}]")
    held = store.hold(answer_of(5))
    for path in folders(tmp_path)[0].iterdir():
        path.unlink()
    with pytest.raises(SpoolError, match="is lost"):
        held.take()
    with pytest.raises(SpoolError, match="is lost"):
        next(iter(rows))
    store.close()
