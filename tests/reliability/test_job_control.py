"""Ctrl+Z gives the terminal back to the shell, `bg` lets the run go on, `fg` brings the screen back whole."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.program import LONG, command, idle, program, running, settings, train, wait_until
from tests.reliability.shell import PROMPT, bash, typed
from tests.reliability.terminal import Terminal

pytestmark = pytest.mark.slow
MODES = {1000, 1003, 1004, 1006, 1015, 1049}  # that the app works with, and bash does not


@pytest.fixture
def shell(tiny_chat: Path, tmp_path: Path) -> Iterator[Terminal]:
    """A shell in which the app trains."""
    with bash(settings(tmp_path, LONG)) as terminal:
        terminal.send(typed(command(tiny_chat, tmp_path)))
        idle(terminal)
        train(terminal)
        yield terminal
        terminal.send("\x11")
        time.sleep(2)


def left_on(terminal: Terminal) -> set[int]:
    return terminal.modes_left_on() & MODES


def stop(terminal: Terminal) -> None:
    terminal.send("\x1a")
    wait_until(terminal, "Stopped")
    wait_until(terminal, PROMPT)


def progress(terminal: Terminal) -> str:
    """What the line above the footer says."""
    return next(line for line in reversed(terminal.screen().splitlines()) if "training," in line or "sampling" in line)


def test_the_shell_has_its_terminal_while_the_app_is_suspended(shell: Terminal) -> None:
    stop(shell)
    assert left_on(shell) == set()
    shell.send("echo sum $((40+2))\r")
    shell.wait_for("sum 42")
    shell.resize(100, 32)
    shell.send("fg\r")
    shown = wait_until(shell, r"F1 Train  F2 Vectors  F3 Chat")
    shown = wait_until(shell, r"palette")
    assert left_on(shell) == MODES
    lines = shown.splitlines()
    assert len(lines) == 32
    assert "F1 Train" in lines[0]
    assert "palette" in lines[-1]
    assert "sum 42" not in shown
    before = progress(shell)
    wait_until(shell, f"(?s)^(?!.*{re.escape(before.strip())})")  # it goes on


def test_a_job_in_the_background_trains_on_and_does_not_draw(shell: Terminal, tmp_path: Path) -> None:
    program = running(tmp_path)
    stop(shell)
    used = program.cpu_times().user
    time.sleep(0.5)
    assert program.cpu_times().user == used
    shell.send("bg\r")
    time.sleep(1)
    began = time.monotonic()
    time.sleep(2.5)
    assert shell.bytes_between(began, began + 2.5) == 0
    assert program.cpu_times().user > used + 0.3
    shell.send("echo still here\r")
    wait_until(shell, r"\nstill here")
    shell.send("fg\r")
    shell.wait_for("palette")


def test_a_stop_that_nobody_could_end_is_passed_over(tiny_chat: Path, tmp_path: Path) -> None:
    # The first process of a terminal, as `ssh -t host melbo-tui` starts it, has no shell to go back to.
    with program(tiny_chat, tmp_path) as terminal:
        idle(terminal)
        terminal.send("\x1a")
        terminal.wait_for("no shell")
        assert left_on(terminal) == MODES
        state = Path(f"/proc/{terminal.process.pid}/stat")
        if state.exists():
            assert state.read_text().split()[2] != "T"
        terminal.send("\x11")
        terminal.wait_end(5)
        assert terminal.echoes()


def test_a_stop_from_elsewhere_leaves_nothing_twice(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path) as terminal:
        idle(terminal)
        for _ in range(2):
            os.kill(terminal.process.pid, signal.SIGSTOP)
            time.sleep(0.2)
            os.kill(terminal.process.pid, signal.SIGCONT)
            time.sleep(0.5)
        terminal.wait_for("palette")
        terminal.send("\x11")
        assert terminal.wait_end(5) < 2
        assert terminal.process.returncode == 0
        assert terminal.modes_left_on() == set()
