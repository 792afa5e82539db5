"""Results that wait, in memory and in a file without a name."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from tap_looker_tasks.errors import SpoolError
from tap_looker_tasks.results import TaskEntry
from tap_looker_tasks.store import BLOCK_BYTES, ResultStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    NewStore = Callable[..., ResultStore]

ARRAYS = [b'[{"a":1}]', b"[]", b'[{"a":"' + b"x" * (2 * BLOCK_BYTES) + b'"},{}]']


def entry_of(size: int, number: int = 0) -> TaskEntry:
    return TaskEntry("complete", "query", msgspec.Raw(b'"%d%b"' % (number, b"x" * size)))


@pytest.fixture
def new_store() -> Iterator[NewStore]:
    """Make a store that is closed at the end."""
    with ExitStack() as stores:
        yield lambda *args, **kwargs: stores.enter_context(closing(ResultStore(*args, **kwargs)))


def test_sizes_count_rows_in_files(tmp_path: Path) -> None:
    store = ResultStore(tmp_path)
    rows = store.new_rows()
    rows.append(b'[{"a":1}]')
    rows.append(b'[{"a":2}]')
    entry = TaskEntry("complete", "query", msgspec.Raw(b"{}"), rows)
    held = store.hold(entry, transfer_seconds=1.5)
    assert (held.size_bytes, held.transfer_seconds) == (2 + 9 + 9, 1.5)
    store.close()


def test_what_fits_stays_in_memory(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=100)
    held = [store.hold(entry_of(20, n)) for n in range(4)]
    assert store.bytes_on_disk == 0
    assert [result.take() for result in held] == [entry_of(20, n) for n in range(4)]
    assert store.hold(TaskEntry("killed")).take() == TaskEntry("killed")


def test_short_results_stay_in_memory_however_many(new_store: NewStore) -> None:
    store = new_store(memory_bytes=100, short_bytes=30)
    held = [store.hold(entry_of(20, n)) for n in range(100)]
    assert store.bytes_on_disk == 0
    assert [result.take() for result in held] == [entry_of(20, n) for n in range(100)]
    # They took nothing of what is there for longer ones.
    longer = [store.hold(entry_of(40, n)) for n in range(3)]
    assert store.bytes_on_disk == 43
    assert [result.take() for result in longer] == [entry_of(40, n) for n in range(3)]


def test_what_does_not_fit_goes_to_the_file_until_it_is_taken(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=100)
    in_memory, on_disk, discarded = (store.hold(entry_of(80, n)) for n in range(3))
    assert store.bytes_on_disk == 2 * 83
    assert on_disk.size_bytes == in_memory.size_bytes == 83
    assert on_disk.take() == entry_of(80, 1)
    discarded.discard()
    assert store.bytes_on_disk == 0
    assert in_memory.take() == entry_of(80)
    # Its place in memory is free again.
    store.hold(entry_of(80))
    assert store.bytes_on_disk == 0


def test_rows_stay_until_their_result_is_discarded(new_store: NewStore) -> None:
    store = new_store()
    rows = store.new_rows()
    for array in ARRAYS:
        rows.append(array)
    held = store.hold(TaskEntry("complete", data=msgspec.Raw(b"[]"), rows=rows))
    taken = held.take().rows
    assert taken is not None
    one, other = iter(taken), iter(taken)
    assert [*zip(one, other, strict=True)] == [(a, a) for a in ARRAYS]
    assert store.bytes_on_disk == sum(map(len, ARRAYS))
    late = iter(taken)
    next(late)
    held.discard()
    held.discard()
    assert store.bytes_on_disk == 0
    # Whoever reads on must not get the rows of another result, which are there by now.
    for array in ARRAYS:
        store.new_rows().append(array)
    assert [*late] == []
    untaken = store.new_rows()
    untaken.append(ARRAYS[0])
    before = store.bytes_on_disk
    store.hold(TaskEntry("complete", rows=untaken)).discard()
    assert store.bytes_on_disk == before - len(ARRAYS[0])


def test_places_are_used_again(tmp_path: Path, new_store: NewStore) -> None:
    store = new_store(tmp_path, memory_bytes=0, short_bytes=0)
    kept = store.hold(entry_of(BLOCK_BYTES, 7))
    for n in range(50):
        results = [store.hold(entry_of(3 * BLOCK_BYTES, n + k)) for k in range(3)]
        assert [result.take() for result in results] == [
            entry_of(3 * BLOCK_BYTES, n + k) for k in range(3)
        ]
    assert file_size(store) <= 15 * BLOCK_BYTES
    assert kept.take() == entry_of(BLOCK_BYTES, 7)
    assert file_size(store) == 0


def file_size(store: ResultStore) -> int:
    file = store._file._file  # noqa: SLF001 - a file without a name
    assert file is not None
    return os.fstat(file.fileno()).st_size


def test_many_results_together_do_not_sum_up_in_memory(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=5_000_000)
    tracemalloc.start()
    try:
        held = [store.hold(entry_of(1_000_000, n)) for n in range(50)]
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
        for n, result in enumerate(held):
            assert result.take() == entry_of(1_000_000, n)
        assert tracemalloc.get_traced_memory()[1] < 12_000_000
    finally:
        tracemalloc.stop()


def test_threads_may_use_it_concurrently(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=10_000)
    failures: list[BaseException] = []

    def use(number: int) -> None:
        try:
            held = [(n, store.hold(entry_of(1_000, n))) for n in range(number, number + 20)]
            assert all(result.take() == entry_of(1_000, n) for n, result in held)
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
    assert [store.hold(entry_of(997)) for _ in range(10)]
    assert store.bytes_on_disk == 0


DIES = """
import os, sys
from pathlib import Path
from tap_looker_tasks.store import ResultStore
store = ResultStore(Path(sys.argv[1]))
store.new_rows().append(b"[]")
print(os.listdir(sys.argv[1]), store.bytes_on_disk, flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
def test_a_killed_process_leaves_nothing_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DIES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-9, "[] 2\n")
    assert [*tmp_path.iterdir()] == []


def test_many_results_take_one_file(new_store: NewStore) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len([*Path("/dev/fd").iterdir()])
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 5, before[1]))
    try:
        store = new_store(memory_bytes=0, short_bytes=0)
        held = [store.hold(entry_of(10, n)) for n in range(500)]
        rows = [store.new_rows() for _ in range(50)]
        for n, array in enumerate(rows):
            array.append(b"[%d]" % n)
        assert [next(iter(array)) for array in rows] == [b"[%d]" % n for n in range(50)]
        assert [result.take() for result in held] == [entry_of(10, n) for n in range(500)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_folder_without_room_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_store: NewStore
) -> None:
    store = new_store(tmp_path / "missing", short_bytes=0, memory_bytes=0)
    with pytest.raises(
        SpoolError, match=r"cannot store a large result in .*missing .*; set TMPDIR"
    ):
        store.hold(entry_of(1))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SpoolError, match=r"cannot store a large result in .*gone "):
        new_store().new_rows().append(b"[]")


def test_a_full_disk_is_named_and_what_did_not_fit_is_free_again(new_store: NewStore) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    store = new_store(memory_bytes=0, short_bytes=0)
    kept = store.hold(entry_of(10))
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * BLOCK_BYTES, before[1]))
    try:
        for _ in range(3):
            with pytest.raises(SpoolError, match=r"File too large.*; set TMPDIR to a directory"):
                store.hold(entry_of(3 * BLOCK_BYTES))
            assert store.bytes_on_disk == 13
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert kept.take() == entry_of(10)


def test_a_result_is_released_once(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=10)
    held = store.hold(entry_of(5))
    held.take()
    held.discard()
    store.hold(entry_of(5))
    store.hold(entry_of(5))
    assert store.bytes_on_disk == 8


def test_after_its_end_nothing_is_stored_or_read(new_store: NewStore) -> None:
    store = new_store(short_bytes=0, memory_bytes=0)
    held, rows = store.hold(entry_of(5)), store.new_rows()
    rows.append(b"[]")
    store.close()
    with pytest.raises(SpoolError, match="was discarded before it was read"):
        held.take()
    with pytest.raises(SpoolError, match="was discarded before it was read"):
        next(iter(rows))
    with pytest.raises(SpoolError, match="no result can be stored after the end of a run"):
        store.hold(entry_of(5))
    rows.clear()
    held.discard()
    assert store.bytes_on_disk == 0


# In a separate process: what others left free would go back as well.
FREES = """
import os
from pathlib import Path
from tap_looker_tasks.store import return_freed_memory

def resident_megabytes():
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1_000_000

return_freed_memory()
# Once glibc has seen long blocks freed, it would keep such as these, up to 32 MiB each.
large = bytearray(30_000_000)
del large
blocks = [bytearray(b"x" * 3_000_000) for _ in range(40)]
before = resident_megabytes()
# Every second one stays, so that the heap could not shrink.
del blocks[::2]
print(before - resident_megabytes())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the system's malloc is another")
def test_memory_of_large_results_is_released_immediately() -> None:
    command = [sys.executable, "-c", FREES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 50
