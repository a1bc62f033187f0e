"""A reader that stands still costs the training nothing, one that is slow is offered less to read."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.reliability.program import LONG, idle, program, train, wait_until
from tests.reliability.terminal import Terminal


def vectors_done(terminal: Terminal) -> int:
    found = wait_until(terminal, r"Trained \d+ of 800")
    return int(found.split("Trained ")[1].split()[0])


def standing_still(tiny: Path, folder: Path, seconds: float) -> None:
    with program(tiny, folder, form=LONG) as terminal:
        process = psutil.Process(terminal.process.pid)
        idle(terminal)
        train(terminal)
        time.sleep(2)
        used, at = process.cpu_times().user, time.monotonic()
        time.sleep(5)
        normal = (process.cpu_times().user - used) / (time.monotonic() - at)
        before = vectors_done(terminal)
        memory = process.memory_info().rss
        terminal.stop_reading()
        used, at = process.cpu_times().user, time.monotonic()
        time.sleep(seconds)
        stalled = (process.cpu_times().user - used) / (time.monotonic() - at)
        grown = process.memory_info().rss - memory
        terminal.stop_reading(False)
        print(f"FIGURE | core used while training, and while the reader stands still | {normal:.2f}, {stalled:.2f}")
        print(f"FIGURE | memory grown while the reader stood still for {seconds:.0f} s | {grown / 1e6:.0f} MB")
        assert stalled > 0.8 * normal
        assert grown < 50e6
        wait_until(terminal, rf"Trained (?!{before} )\d+ of 800", 5)
        terminal.send("\x1bOR")
        terminal.wait_for("Type a message", 2)


@pytest.mark.slow
def test_a_reader_that_stands_still(tiny_chat: Path, tmp_path: Path) -> None:
    standing_still(tiny_chat, tmp_path, 8)


@pytest.mark.soak
def test_a_reader_that_stands_still_for_a_minute(tiny_chat: Path, tmp_path: Path) -> None:
    standing_still(tiny_chat, tmp_path, 60)


@pytest.mark.slow
def test_a_signal_while_the_reader_stands_still(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG) as terminal:
        idle(terminal)
        train(terminal)
        terminal.stop_reading()
        time.sleep(5)
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_end(5) < 2
        assert terminal.process.returncode == 128 + signal.SIGTERM
        terminal.stop_reading(False)
        time.sleep(0.3)
        assert terminal.modes_left_on() == set()
        assert terminal.echoes()


@pytest.mark.slow
def test_a_slow_line_is_offered_less_and_takes_it(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG, rate=20_000, answers=True) as terminal:
        terminal.wait_for("float32", 90)
        terminal.send("\r")
        terminal.wait_for("bomb-01", 60)
        terminal.rate = 800  # bytes a second, of which a frame has some hundreds
        terminal.wait_for("The line is slow", 60)
        terminal.rate = 3000
        terminal.send("\x10")
        terminal.wait_for("Search", 20)
        terminal.send("low band")
        terminal.wait_for("slow line", 20)
        saved = tmp_path / "config" / "settings.json"
        end = time.monotonic() + 15
        while '"low_bandwidth": true' not in saved.read_text():
            assert time.monotonic() < end
            terminal.send("\r")  # chooses the first line, then takes it; one that comes while lines are sought does neither
            time.sleep(1)
