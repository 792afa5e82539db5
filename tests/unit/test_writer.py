"""What reaches standard output: the SDK's own text, in whole lines."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from singer_sdk.helpers._batch import BaseBatchFileEncoding, SDKBatchMessage
from singer_sdk.singerlib.encoding.simple import (
    ActivateVersionMessage,
    Message,
    RecordMessage,
    SchemaMessage,
    SimpleSingerWriter,
    StateMessage,
)
from typing_extensions import Buffer, override

import tap_looker_tasks
from tap_looker_tasks.writer import MessageWriter

ASCII = st.text(alphabet=[chr(code) for code in range(127)], max_size=10)
MOMENTS = st.datetimes(
    timezones=st.sampled_from([timezone.utc, timezone(timedelta(hours=-7))]),
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
            datetime(2013, 6, 1, 12, 30, tzinfo=timezone.utc),
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
def test_raw_json_is_written_as_it_is(raw: str) -> None:
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


def test_a_large_record_is_written_at_once() -> None:
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

    @override
    def write(self, data: Buffer, /) -> int:
        return super().write(memoryview(data)[: random.randrange(8)])  # noqa: S311


def test_an_output_that_takes_a_part_at_a_time_gets_everything() -> None:
    messages_ = [record("x" * 100), record(2), StateMessage({})]
    assert Output(Reluctant()).after(*messages_) == Output().after(*messages_)


@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_for_the_end_of_the_line(signal_: signal.Signals) -> None:
    class Signalling(io.BytesIO):
        @override
        def write(self, data: Buffer, /) -> int:
            signal.raise_signal(signal_)
            return super().write(data)

    class Stopped(BaseException):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    output = Output(Signalling())
    before = signal.signal(signal_, stop)
    try:
        with pytest.raises(Stopped):
            output.after(record(1), flush=True)
        assert signal.getsignal(signal_) is stop
    finally:
        signal.signal(signal_, before)
    assert output.file.getvalue() == b'{"type":"RECORD","stream":"s","record":{"x":1}}\n'


def test_other_threads_can_write_too() -> None:
    output = Output()
    thread = threading.Thread(target=output.after, args=(StateMessage({}),))
    thread.start()
    thread.join()
    assert output.file.getvalue() == b'{"type":"STATE","value":{}}\n'


PROGRAM = """
import random, signal, sys, threading
from singer_sdk.singerlib.encoding.simple import RecordMessage, StateMessage
import tap_looker_tasks
from tap_looker_tasks.writer import MessageWriter

writer = MessageWriter()

def stop(*_):
    writer.write_message(StateMessage({"stopped": True}))
    sys.exit(0)

signal.signal(signal.SIGTERM, stop)
# The system may give a signal to any thread.
threading.Thread(target=threading.Event().wait, daemon=True).start()
sys.stderr.write("ready")
sys.stderr.flush()
while True:
    writer.write_message(RecordMessage("s", {"x": "x" * random.choice((1, 1000, 300_000))}))
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_no_line_is_torn_by_a_signal_at_any_moment(unbuffered: str) -> None:
    source = Path(tap_looker_tasks.__file__).parents[1]
    environment = {**os.environ, "PYTHONUNBUFFERED": unbuffered, "PYTHONPATH": str(source)}
    for _ in range(8):
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stderr
        with process, contextlib.ExitStack() as stack:
            stack.callback(process.kill)
            assert process.stderr.read(5) == b"ready"
            start = process.stdout.read(random.randrange(1, 500_000))  # noqa: S311
            process.send_signal(signal.SIGTERM)
            # The pipe is full by now: the writer is in the middle of a line.
            time.sleep(random.random() / 20)  # noqa: S311
            lines = (start + process.stdout.read()).split(b"\n")
            assert process.wait(timeout=10) == 0
        assert lines.pop() == b""
        types = [json.loads(line)["type"] for line in lines]
        assert types == ["RECORD"] * (len(lines) - 1) + ["STATE"]
