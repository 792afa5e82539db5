"""What reaches standard output: the SDK's own text, in complete lines."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import json
import logging
import os
import random
import re
import signal
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchConfig, SDKBatchMessage
from singer_sdk.singerlib.encoding.simple import (
    ActivateVersionMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    SimpleSingerWriter,
    StateMessage,
)
from typing_extensions import Buffer, override

from tap_looker_tasks.errors import StorageError, TargetClosedError
from tap_looker_tasks.singer import interrupts as interrupts_module
from tap_looker_tasks.singer.interrupts import SIGNALS, Interrupts
from tap_looker_tasks.singer.message_writer import (
    BatchFiles,
    MessageWriter,
    ReadyJson,
    RecordChunk,
    filter_record,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

ASCII = st.text(alphabet=[chr(code) for code in range(127)], max_size=10)
MOMENTS = st.datetimes(
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7))]),
)
SAME_BYTES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(),
    ASCII,
    st.dates(),
    st.uuids(),
    st.sampled_from(["NaN", "Infinity", float("nan"), float("inf"), 0.5, -2.0]),
)
SAME_JSON = SAME_BYTES | st.text() | st.floats()


def records(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    nested = st.recursive(
        values,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.tuples(inner)
            | st.dictionaries(ASCII, inner, max_size=4)
        ),
        max_leaves=8,
    )
    return st.dictionaries(ASCII, nested, max_size=4)


def messages(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Message]:
    objects = records(values)
    versions = st.none() | st.integers(0, 10)
    names = st.lists(ASCII, max_size=2)
    encodings = st.just(BaseBatchFileEncoding(format="jsonl"))
    return st.one_of(
        st.builds(RecordMessage, ASCII, objects, versions, st.none() | MOMENTS),
        st.builds(SchemaMessage, ASCII, objects, st.none() | names, st.none() | names),
        st.builds(StateMessage, objects),
        st.builds(ActivateVersionMessage, ASCII, st.integers(0, 10)),
        st.builds(
            SDKBatchMessage,
            ASCII,
            encodings,
            st.lists(ASCII, max_size=2),
        ),
    )


def record(value: object) -> RecordMessage:
    return RecordMessage("s", {"x": value})


class Output:
    """A standard output that is read after every step."""

    def __init__(self, file: io.BytesIO | None = None) -> None:
        self.writer = MessageWriter()
        self.file = file or io.BytesIO()
        self._stdout = io.TextIOWrapper(self.file, encoding="utf-8")

    def after(self, *messages: Message, flush: bool = False) -> bytes:
        with contextlib.redirect_stdout(self._stdout):
            for message in messages:
                self.writer.write_message(message)
            if flush:
                self.writer.flush()
        return self.file.getvalue()


@given(messages(SAME_BYTES))
def test_the_line_is_the_one_the_sdk_writes(message: Message) -> None:
    expected = SimpleSingerWriter().format_message(message).encode()
    assert MessageWriter().format_message(message) == expected


# The first text of all makes hypothesis read what characters there are.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(messages(SAME_JSON))
def test_the_line_always_means_what_the_sdk_writes(message: Message) -> None:
    expected = SimpleSingerWriter().format_message(message)
    assert json.loads(MessageWriter().format_message(message)) == json.loads(expected)


@pytest.mark.parametrize(
    ("value", "ours", "stock"),
    [
        ("\u00e9\x7f", '"\u00e9\x7f"', '"\\u00e9\\u007f"'),
        (1e16, "1e16", "1e+16"),
        (0.00001, "0.00001", "1e-05"),
        (
            datetime(2013, 6, 1, 12, 30, tzinfo=UTC),
            '"2013-06-01T12:30:00Z"',
            '"2013-06-01T12:30:00+00:00"',
        ),
    ],
)
def test_all_that_differs_from_the_sdk(value: object, ours: str, stock: str) -> None:
    message = record(value)
    line = '{"type":"RECORD","stream":"s","record":{"x":%s}}'
    assert MessageWriter().format_message(message).decode() == line % ours
    assert SimpleSingerWriter().format_message(message) == line % stock


@pytest.mark.parametrize("raw", ['{"y" : 1.50,"z":[1e400, "NaN"]}', "12345678901234567890123"])
def test_raw_json_is_written_unchanged(raw: str) -> None:
    line = MessageWriter().format_message(record(msgspec.Raw(raw.encode()))).decode()
    assert line == f'{{"type":"RECORD","stream":"s","record":{{"x":{raw}}}}}'


def test_every_digit_of_a_decimal_is_written() -> None:
    digits = "123456789012345678901234567890.10"
    assert digits.encode() in MessageWriter().format_message(record(Decimal(digits)))


def test_what_json_has_no_word_for_is_null_or_text() -> None:
    line = MessageWriter().format_message(
        record([Decimal("NaN"), (Decimal("-Infinity"), UUID(int=0))])
    )
    assert json.loads(line)["record"]["x"] == [None, [None, "00000000-0000-0000-0000-000000000000"]]


def test_records_are_held_back_until_another_message_comes() -> None:
    output = Output()
    assert output.after(record(1), record(2)) == b""
    lines = output.after(StateMessage({"bookmarks": {}})).splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["RECORD", "RECORD", "STATE"]


def test_records_are_written_on_demand() -> None:
    output = Output()
    assert output.after(record(1), flush=True) == b"%s\n" % MessageWriter().format_message(
        record(1)
    )
    assert output.after(flush=True).count(b"\n") == 1


def test_records_are_written_when_there_are_many() -> None:
    output = Output()
    written = output.after(*[record("x" * 1000)] * 80)
    assert 60 < written.count(b"\n") < 80
    assert written.endswith(b"\n")


def test_a_large_record_is_written_immediately() -> None:
    output = Output()
    large = record("x" * 1_000_000)
    assert output.after(record(1), large).splitlines() == [
        MessageWriter().format_message(record(1)),
        MessageWriter().format_message(large),
    ]


def test_the_bytes_of_each_message_count_when_it_comes() -> None:
    output = Output()
    output.after(record(1))
    size = len(MessageWriter().format_message(record(1))) + 1
    assert output.writer.bytes_written == size
    written = output.after(record(1), StateMessage({}))
    assert output.writer.bytes_written == len(written)


class Reluctant(io.BytesIO):
    """Takes a part of what it is given, or nothing, as raw files may."""

    def __init__(self) -> None:
        super().__init__()
        self._drawn = random.Random(0)  # noqa: S311 - not for secrets

    @override
    def write(self, data: Buffer, /) -> int:
        return super().write(memoryview(data)[: self._drawn.randrange(8)])


def test_an_output_that_takes_a_part_at_a_time_gets_everything() -> None:
    messages_ = [record("x" * 100), record(2), StateMessage({})]
    assert Output(Reluctant()).after(*messages_) == Output().after(*messages_)


@pytest.fixture
def interrupts() -> Iterator[Interrupts]:
    # A shell or `nohup` may have it ignored.
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    found = Interrupts()
    found.handle()
    yield found
    found.end()
    found.restore()
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_waits_for_the_end_of_the_line(
    interrupts: Interrupts, number: signal.Signals
) -> None:
    class Signaling(io.BytesIO):
        @override
        def write(self, data: Buffer, /) -> int:
            signal.raise_signal(number)
            return super().write(data)

    output = Output(Signaling())
    output.writer.interrupts = interrupts
    with pytest.raises(SystemExit) as raised:
        output.after(record(1), flush=True)
    assert raised.value.code == 128 + number
    assert output.file.getvalue() == b'{"type":"RECORD","stream":"s","record":{"x":1}}\n'
    # What ends the run may write, and is not interrupted.
    interrupts.end()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
    signal.raise_signal(number)
    assert output.after(StateMessage({})).endswith(b'{"type":"STATE","value":{}}\n')


class _SignalAt:
    """Sends SIGTERM at an instruction of the message writer, counted from 0; use it as a tracer."""

    def __init__(self, instruction: int) -> None:
        self._left = instruction

    @property
    def is_sent(self) -> bool:
        return self._left < 0

    def __call__(self, frame: FrameType, event: str, _: object) -> _SignalAt | None:
        if not frame.f_code.co_filename.endswith("message_writer.py"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            self._left -= 1
            if self._left == -1:
                signal.raise_signal(signal.SIGTERM)
        return self


def _written_before(output: Output, interrupts: Interrupts, tracer: _SignalAt) -> int:
    """Return how many of three records were written when the signal came."""
    output.writer.interrupts = interrupts
    count = 0
    before = sys.gettrace()
    with contextlib.suppress(SystemExit):
        sys.settrace(tracer)
        try:
            for value in (1, ReadyJson((b"[2]",)), 3):
                output.after(record(value))
                count += 1
            output.after(flush=True)
        finally:
            sys.settrace(before)
    return count


def test_an_interrupt_at_any_instruction_drops_no_written_message() -> None:
    for instruction in itertools.count():
        interrupts, tracer = Interrupts(), _SignalAt(instruction)
        interrupts.handle()
        try:
            output = Output()
            count = _written_before(output, interrupts, tracer)
            interrupts.end()
            *rows, state = output.after(StateMessage({})).splitlines()
        finally:
            interrupts.restore()
        assert json.loads(state)["type"] == "STATE"
        values = [json.loads(row)["record"]["x"] for row in rows]
        assert values[:count] == [1, [2], 3][:count], f"at instruction {instruction}"
        if not tracer.is_sent:
            break


def test_a_signal_whose_exception_is_dropped_ends_the_run_at_the_next_line(
    interrupts: Interrupts,
) -> None:
    output = Output()
    output.writer.interrupts = interrupts
    # Python drops what a finalizer raises.
    with contextlib.suppress(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit):
        output.after(record(1), flush=True)
    assert output.file.getvalue().endswith(b"}\n")


def test_a_signal_whose_exception_is_dropped_is_raised_again(interrupts: Interrupts) -> None:
    with contextlib.suppress(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit) as raised:
        threading.Event().wait(20)
    assert raised.value.code == 128 + signal.SIGTERM
    # Not while the run is ending.
    interrupts.end()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_error_after_an_interrupt_is_its_end(interrupts: Interrupts) -> None:
    error = RuntimeError("release unlocked lock")
    assert interrupts.find_end(error) is error
    with contextlib.suppress(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    end = interrupts.find_end(error)
    assert isinstance(end, SystemExit)
    assert end.code == 128 + signal.SIGTERM
    # What has ended well stays so, and what ends the process keeps its code.
    for other in (None, click.exceptions.Exit(0), SystemExit(1)):
        assert interrupts.find_end(other) is other
    assert isinstance(interrupts.find_end(click.exceptions.Exit(1)), SystemExit)


def test_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    interrupts = Interrupts()
    interrupts.handle()
    interrupts.restore()
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts = Interrupts()
    try:
        interrupts.handle()
        signal.raise_signal(signal.SIGHUP)
    finally:
        interrupts.restore()
        signal.signal(signal.SIGHUP, before)
    assert interrupts.number is None


def test_a_pipe_that_does_not_block_gets_everything() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    received: list[bytes] = []

    def read() -> None:
        with os.fdopen(reader, "rb") as file:
            received.append(file.read())

    thread = threading.Thread(target=read)
    thread.start()
    with os.fdopen(writer, "w") as file, contextlib.redirect_stdout(file):
        MessageWriter().write_message(StateMessage({"x": "x" * 500_000}))
    thread.join()
    assert json.loads(received[0]) == {"type": "STATE", "value": {"x": "x" * 500_000}}


def test_a_standard_output_that_is_closed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    writer = MessageWriter()
    with pytest.raises(TargetClosedError) as raised:
        writer.write_message(StateMessage({}))
    assert str(raised.value) == (
        "the target stopped reading (standard output is closed); check its log. The next run "
        "resumes from its last saved state"
    )
    # What follows is dropped.
    assert writer.is_target_gone is True
    writer.write_message(StateMessage({}))


def test_other_threads_can_also_write() -> None:
    output = Output()
    thread = threading.Thread(target=output.after, args=(StateMessage({}),))
    thread.start()
    thread.join()
    assert output.file.getvalue() == b'{"type":"STATE","value":{}}\n'


def test_a_chunk_is_what_its_records_would_be() -> None:
    message = RecordMessage("s", {}, 7, datetime(2026, 1, 31, 12, 30, tzinfo=UTC))
    values = ["a\nb", 'x"\\', "\u2028\u00e9\x00", "", "{}"]
    records = [{"x": value, "y": number} for number, value in enumerate(values)]
    lines = msgspec.json.Encoder().encode_lines(records)
    chunk = replace(message, record=RecordChunk(lines, len(records)))
    one_by_one = [replace(message, record=found) for found in records]
    expected = Output().after(*one_by_one, StateMessage({}))
    output = Output()
    assert output.after(chunk, StateMessage({})) == expected
    assert chunk.record.is_written is True  # type: ignore[attr-defined]
    assert output.writer.bytes_written == len(expected)
    assert Output().after(replace(message, record=RecordChunk(b"", 0)), flush=True) == b""


@pytest.mark.parametrize("make", [tuple, iter])
def test_ready_json_is_put_where_it_belongs(make: Callable[[list[bytes]], Any]) -> None:
    output = Output()
    ready = {"a": 1, "data": {"rows": ReadyJson(make([b"[1.50", b",2", b"]"]))}, "z": "NaN"}
    written = output.after(record(1), RecordMessage("s", ready), record(2), flush=True)
    assert written.splitlines()[1] == (
        b'{"type":"RECORD","stream":"s","record":{"a":1,"data":{"rows":[1.50,2]},"z":"NaN"}}'
    )
    assert [json.loads(line)["type"] for line in written.splitlines()] == ["RECORD"] * 3
    assert output.writer.bytes_written == len(written)


def test_what_is_read_while_it_is_written_is_not_held() -> None:
    output = Output()
    sizes = []

    def pieces() -> Iterator[bytes]:
        yield b'"'
        for _ in range(50):
            sizes.append(len(output.file.getvalue()))
            yield b"x" * 10_000
        yield b'"'

    output.after(RecordMessage("s", {"x": ReadyJson(pieces())}))
    assert sizes == sorted(sizes)
    assert sizes[-1] > 400_000


def test_a_schema_is_written_as_targets_read_it() -> None:
    decimal = {"format": "x-singer.decimal", "x-sql-datatype-properties": {"precision": 38}}
    plain = {"format": "x-singer.decimal"}
    nested = {"description": "b", "anyOf": [{"type": "null"}], "properties": {"c": plain}}
    properties = {"a": {"title": "t", **decimal, "type": ["string"]}, "b": nested}
    line = MessageWriter().format_message(SchemaMessage("s", {"properties": properties}, ["a"]))
    assert line == (
        b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"a":{"type":["string"],"title":"t",'
        b'"format":"x-singer.decimal","precision":38},"b":{"anyOf":[{"type":"null"}],'
        b'"description":"b","properties":{"c":{"format":"x-singer.decimal"}}}}},'
        b'"key_properties":["a"]}'
    )


def test_the_moment_of_a_record_is_written() -> None:
    moment = datetime(2026, 1, 31, 12, 30, tzinfo=UTC)
    line = MessageWriter().format_message(RecordMessage("s", {}, time_extracted=moment))
    assert json.loads(line)["time_extracted"] == "2026-01-31T12:30:00+00:00"


ALARM_SECONDS = 0.02


def count_alarms(found: Interrupts, alarms: list[float], *given: Any) -> None:
    alarms.append(ALARM_SECONDS)
    Interrupts._look_again(found, *given)  # noqa: SLF001 - only its alarms show how long it waits


class Pipe:
    """A pipe whose writer is standard output, and whose reader takes its time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._reader, self._writer = os.pipe()
        self.received = b""
        monkeypatch.setattr(interrupts_module, "_SECONDS_BETWEEN_ALARMS", ALARM_SECONDS)
        monkeypatch.setattr(interrupts_module, "_MAX_STILL_SECONDS", 0.4)

    def write(self, interrupts: Interrupts, *, bytes_: int, pause: float | None) -> MessageWriter:
        """Write a line while a signal comes; the pause is that between two reads."""
        writer = MessageWriter()
        writer.interrupts = interrupts

        def read() -> None:
            self.received += os.read(self._reader, 100)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
            while pause is not None and (piece := os.read(self._reader, 20_000)):
                self.received += piece
                threading.Event().wait(pause)

        thread = threading.Thread(target=read)
        thread.start()
        with (
            contextlib.suppress(SystemExit, TargetClosedError),
            os.fdopen(self._writer, "w") as file,
            contextlib.redirect_stdout(file),
        ):
            writer.write_message(StateMessage({"x": "x" * bytes_}))
        thread.join(20)
        os.close(self._reader)
        assert not thread.is_alive()
        return writer


def test_a_line_is_written_to_its_end_as_long_as_it_is_read(
    interrupts: Interrupts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That takes longer than a reader may stop for."""
    pipe = Pipe(monkeypatch)
    writer = pipe.write(interrupts, bytes_=600_000, pause=0.03)
    assert not writer.is_target_gone
    assert len(json.loads(pipe.received)["value"]["x"]) == 600_000


@pytest.mark.parametrize(("is_ending", "seconds"), [(False, 0.4), (True, 0.1)])
def test_a_reader_that_stops_is_abandoned(
    monkeypatch: pytest.MonkeyPatch, *, is_ending: bool, seconds: float
) -> None:
    found = Interrupts(0.1)
    alarms: list[float] = []
    monkeypatch.setattr(found, "_look_again", partial(count_alarms, found, alarms))
    found.handle()
    try:
        if is_ending:
            found.end()
        writer = Pipe(monkeypatch).write(found, bytes_=600_000, pause=None)
    finally:
        found.end()
        found.restore()
    assert writer.is_target_gone
    assert found.number == signal.SIGTERM
    assert len(alarms) * ALARM_SECONDS == pytest.approx(seconds, abs=2 * ALARM_SECONDS)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def logged(message: object, *arguments: Any) -> str | None:
    """Return what is left of a log record; None if it is dropped."""
    record = logging.LogRecord("tap", logging.INFO, "", 0, message, arguments, None)
    return record.getMessage() if filter_record(record) else None


def test_text_from_outside_is_one_line_in_the_log() -> None:
    assert logged("a\x1b[2J\nb") == "a\\x1b[2J\\nb"
    assert logged("%s %d", "a\u202eb\n", 5) == "a\\u202eb\\n 5"
    assert logged("%s", ValueError("a\rb")) == "a\\rb"
    assert logged("%(x)s", {"x": "a\nb"}) == "a\\nb"
    assert len(str(logged("%s", "x" * 9_000_000))) <= 2_000
    assert logged("An unhandled error occurred while syncing '%s'", "s") is None
    # Lines of the SDK, at each start, for each stream.
    assert logged("Beginning full_table sync of '%s'", "s") is None
    logging.getLogger("tap").setLevel(logging.DEBUG)
    try:
        assert logged("Beginning full_table sync of '%s'", "s") is not None
    finally:
        logging.getLogger("tap").setLevel(logging.NOTSET)


def batch_files(folder: Path, compression: str = "none") -> BatchFiles:
    config = {
        "encoding": {"format": "jsonl", "compression": compression},
        "storage": {"root": folder.as_uri(), "prefix": "p-"},
        "batch_size": 3,
    }
    return BatchFiles(BatchConfig.from_dict(config), "tap", "s")


def test_files_are_compressed_lightly(tmp_path: Path) -> None:
    (url,) = batch_files(tmp_path, "gzip").write([{"x": 0}])
    assert url.endswith("-1.json.gz")
    content = (tmp_path / url.rpartition("/")[2]).read_bytes()
    assert gzip.decompress(content) == b'{"x":0}\n'
    # The mark of the fastest level.
    assert content[8] == 4


def test_a_file_that_cannot_be_stored_is_named_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "way").write_text("")
    with pytest.raises(StorageError) as raised:
        [*batch_files(tmp_path / "way").write([{"x": 0}])]
    assert re.fullmatch(
        r"batch_config.storage: cannot write p-tap--s-[0-9a-f-]{36}-1.json: .*/way",
        str(raised.value),
    )


@pytest.mark.parametrize("failure", [SystemExit(143), OSError("disk full")])
def test_a_file_that_is_cut_off_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise failure

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises((SystemExit, StorageError)):
        [*batch_files(tmp_path / "files").write([{"x": 0}])]
    assert [*(tmp_path / "files").iterdir()] == []


def test_rows_are_stored_in_files_of_a_size(tmp_path: Path) -> None:
    files = batch_files(tmp_path)
    chunk = RecordChunk(b'{"x":1}\n{"x":2}\n{"x":3}\n{"x":4}\n{"x":5}\n', 5)
    urls = [*files.write([{"x": 0}, chunk, {"x": 6}])]
    assert chunk.is_written is True
    assert [url.rpartition("-")[2] for url in urls] == ["1.json", "2.json", "3.json"]
    assert all(url.startswith(f"{tmp_path.as_uri()}/p-tap--s-") for url in urls)
    contents = [(tmp_path / url.rpartition("/")[2]).read_bytes() for url in urls]
    assert contents == [
        b'{"x":0}\n{"x":1}\n{"x":2}\n',
        b'{"x":3}\n{"x":4}\n{"x":5}\n',
        b'{"x":6}\n',
    ]
