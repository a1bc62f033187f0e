"""The writer's thread: nobody waits for it, not even at the end."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from melbo_tui.line.writer import Writer


@pytest.fixture
def pipe() -> Iterator[tuple[int, Writer]]:
    """A pipe's end to read from, and the writer at the other."""
    ours, theirs = os.pipe()
    file = os.fdopen(theirs, "w")
    writer = Writer(file)
    writer.start()
    yield ours, writer
    writer.gone = True
    os.close(ours)


def test_it_writes_in_order_and_tells_when_it_is_done(pipe: tuple[int, Writer]) -> None:
    ours, writer = pipe
    took: list[float] = []
    writer.drained = took.append
    writer.write("one ")
    writer.write("two")
    writer.stop()
    assert os.read(ours, 100) == b"one two"
    assert writer.free
    assert took


def test_a_reader_that_stands_still_holds_nobody(pipe: tuple[int, Writer]) -> None:
    ours, writer = pipe
    began = time.monotonic()
    writer.write("x" * 1_000_000)
    for _ in range(100):
        writer.write("y")
    time.sleep(0.2)
    assert not writer.free
    writer.drop()
    writer.write("the end")
    writer.stop()
    assert time.monotonic() - began < 2
    got = b""
    while not got.endswith(b"the end"):
        got += os.read(ours, 65536)
    assert len(got) < 200_000  # what was dropped is not written any more
    assert b"y" not in got
    assert b"\x18the end" in got  # and a sequence that it was in is ended


def test_a_terminal_that_is_gone_is_written_to_no_more(pipe: tuple[int, Writer]) -> None:
    _, writer = pipe
    writer.gone = True
    writer.write("nothing")
    assert writer.free
