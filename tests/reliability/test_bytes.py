"""How many bytes a second the program writes: none when nothing happens, few enough for a slow line when much does."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from tests.reliability.program import LONG, chat, idle, program, train
from tests.reliability.terminal import Terminal

KB = 1000


def rate(terminal: Terminal, seconds: float) -> float:
    """Bytes a second over the next `seconds`."""
    began = time.monotonic()
    time.sleep(seconds)
    return terminal.bytes_between(began, began + seconds) / seconds


def figure(what: str, value: float) -> float:
    print(f"FIGURE | {what} | {value / KB:.2f} KB/s")
    return value


@pytest.mark.slow
def test_nothing_is_written_while_nothing_happens(tiny_chat: Path, tmp_path: Path) -> None:
    places = {"Train": "\x1bOP", "Vectors, searching": "\x1bOQ/", "Chat": "\x1bOR", "palette": "\x10"}
    with program(tiny_chat, tmp_path) as terminal:
        idle(terminal)
        for place, keys in places.items():
            terminal.send(keys)
            time.sleep(1.5)
            assert figure(f"idle, {place}", rate(terminal, 5 if place == "Train" else 3)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("options", "most", "answers"), [((), 60 * KB, True), (("--low-bandwidth",), 10 * KB, False)])
def test_training_with_plots(tiny_chat: Path, tmp_path: Path, options: tuple[str, ...], most: float, answers: bool) -> None:
    with program(tiny_chat, tmp_path, *options, form=LONG, answers=answers) as terminal:
        idle(terminal)
        train(terminal)
        assert figure(f"tiny model training, {' '.join(options) or 'as it is'}", rate(terminal, 5)) < most


@pytest.mark.slow
def test_an_answer_being_streamed(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path) as terminal:
        idle(terminal)
        chat(terminal, "Tell me of the sea")
        terminal.wait_for("tokens/s")
        assert figure("tiny model's answer, as it is", rate(terminal, 2)) < 20 * KB


@pytest.mark.slow
def test_keys_are_answered_while_it_trains(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, "--low-bandwidth", form=LONG) as terminal:
        idle(terminal)
        train(terminal)
        terminal.send("\x1bOR")
        terminal.wait_for("Type a message")
        delays = []
        for i in range(60):
            letter = chr(0x0430 + i % 32)  # Cyrillic: nothing else on the screen paints it
            seen, began = len(terminal.written), time.monotonic()
            terminal.send(letter)
            while letter.encode() not in terminal.written[seen:]:
                assert time.monotonic() < began + 5
                time.sleep(0.001)
            delays.append(time.monotonic() - began)
            time.sleep(0.07)
        print(f"FIGURE | a key while training, median | {1e3 * statistics.median(delays):.0f} ms")
        print(f"FIGURE | a key while training, 98th percentile | {1e3 * statistics.quantiles(delays, n=50)[-1]:.0f} ms")
        assert statistics.median(delays) < 0.05


@pytest.mark.soak
@pytest.mark.parametrize(("options", "most"), [((), 60 * KB), (("--low-bandwidth",), 10 * KB)])
def test_the_default_model(tmp_path: Path, options: tuple[str, ...], most: float) -> None:
    name = " ".join(options) or "as it is"
    with program("bundled", tmp_path, *options) as terminal:
        idle(terminal, 180)
        terminal.send("\r")
        terminal.wait_for("calibrat", 60)
        rates = []
        while "idle" not in terminal.screen():
            rates.append(rate(terminal, 5))
        figure(f"default model training, {name}, mean", statistics.mean(rates))
        assert figure(f"default model training, {name}, highest of 5 s", max(rates)) < most
        chat(terminal, "Tell me of the sea, at length.")
        terminal.wait_for("tokens/s")
        assert figure(f"default model's answer, {name}", rate(terminal, 5)) < min(most, 20 * KB)
