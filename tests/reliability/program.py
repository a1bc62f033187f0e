"""The program as the tests of its line run it: on a model, with a library and settings of the test's own."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from tests.reliability.terminal import PROGRAM, Terminal

LOADED, STARTED = "float32", r"step [2-9]\d* of"


def command(model: str | Path, folder: Path, *options: str) -> list[str]:
    return [*PROGRAM, "--model", str(model), "--library", str(folder / "library"), *options]


def program(model: str | Path, folder: Path, *options: str, **terminal: Any) -> Terminal:
    """The app, not yet loaded."""
    environment = {"MELBO_TUI_CONFIG": str(folder / "config"), **terminal.pop("environment", {})}
    return Terminal(command(model, folder, *options), environment=environment, **terminal)


def idle(terminal: Terminal, seconds: float = 90) -> None:
    """Waits until the model is loaded and nothing goes on."""
    terminal.wait_for(LOADED, seconds)
    wait_until(terminal, r"idle", seconds)


def type_into_form(terminal: Terminal, *fields: tuple[str, str]) -> None:
    """Fills fields of the form, each found by what explains it, with Tab from the prompt on; the focus ends in the last."""
    for explanation, text in fields:
        for _ in range(20):
            if explanation in terminal.screen():
                break
            terminal.send("\t")
            time.sleep(0.15)
        terminal.send("\x01\x0b" + text)  # to the line's start, and all of it away


def wait_until(terminal: Terminal, pattern: str, seconds: float = 60) -> str:
    """The screen, once `pattern` is found on it. Raises AssertionError where it does not come."""
    end = time.monotonic() + seconds
    while not re.search(pattern, shown := terminal.screen()):
        assert time.monotonic() < end and terminal.process.poll() is None, f"{pattern!r} did not come:\n{shown}"
        time.sleep(0.02)
    return shown


def chat(terminal: Terminal, message: str) -> None:
    """Goes to the chat and sends the message."""
    terminal.send("\x1bOR")
    terminal.wait_for("Type a message")
    terminal.send(message + "\r")
