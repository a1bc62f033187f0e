"""The program as the tests of its line run it: on a model, with a library and settings of the test's own."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from tests.reliability.terminal import PROGRAM, Terminal

LOADED = "float32"
LONG = {"vectors": "800", "steps": "400"}  # a run that a tiny model is at for minutes


def train(terminal: Terminal) -> None:
    """Starts the run of the form, from its prompt, and waits until it trains."""
    terminal.send("\r")
    wait_until(terminal, r"training, step \d+ of")


def command(model: str | Path, folder: Path, *options: str) -> list[str]:
    return [*PROGRAM, "--model", str(model), "--library", str(folder / "library"), *options]


def settings(folder: Path, form: Mapping[str, str]) -> dict[str, str]:
    """The environment of a program with settings of its own, in which the Train pane's form holds `form`."""
    file = folder / "config" / "settings.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"form": dict(form)}))
    return {"MELBO_TUI_CONFIG": str(file.parent)}


def program(
    model: str | Path, folder: Path, *options: str, form: Mapping[str, str] | None = None, changed: str = "", **terminal: Any
) -> Terminal:
    """The app, not yet loaded; `form` is what the Train pane's form holds, `changed` Python that is run before it."""
    environment = {**settings(folder, form or {}), **terminal.pop("environment", {})}
    words = command(model, folder, *options)
    if changed:
        words = [sys.executable, "-c", f"{changed}\nimport sys\nfrom melbo_tui.cli import main\nsys.exit(main())", *words[3:]]
    return Terminal(words, environment=environment, **terminal)


def idle(terminal: Terminal, seconds: float = 90) -> None:
    """Waits until the model is loaded and nothing goes on."""
    terminal.wait_for(LOADED, seconds)
    wait_until(terminal, r"idle", seconds)


def wait_until(terminal: Terminal, pattern: str, seconds: float = 60) -> str:
    """The screen, once `pattern` is found on it. Raises AssertionError where it does not come."""
    end = time.monotonic() + seconds
    while not re.search(pattern, shown := terminal.screen()):
        waiting = time.monotonic() < end and terminal.process.poll() is None
        assert waiting, f"{pattern!r} did not come:\n{shown}"
        time.sleep(0.02)
    return shown


def chat(terminal: Terminal, message: str) -> None:
    """Goes to the chat and sends the message."""
    terminal.send("\x1bOR")
    terminal.wait_for("Type a message")
    terminal.send(message + "\r")


def running(folder: Path) -> psutil.Process:
    """The program that has the library in `folder`, whoever started it."""
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or [""]
        if "melbo_tui" in words and str(folder / "library") in words and Path(words[0]).name.startswith("python"):
            return process
    raise AssertionError("it does not run")
