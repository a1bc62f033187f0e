"""The program of `tests.reliability.stranger` on a terminal: how it is started, its keys, and when it has drawn all."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.reliability.escapes import MARKER
from tests.reliability.terminal import Terminal

F2, F3, F9 = "\x1bOQ", "\x1bOR", "\x1b[20~"
HARMLESS = f"{MARKER} harmless {MARKER}"


def started(what: str, folder: Path, text: str, **environment: str) -> Terminal:
    command = [sys.executable, "-m", "tests.reliability.stranger", what, str(folder), json.dumps(text)]
    return Terminal(command, 100, 30, {"MELBO_TUI_CONFIG": str(folder) + "-config", "ESCDELAY": "20", **environment})


def settle(terminal: Terminal) -> None:
    """Waits until nothing more is drawn, but not for ever."""
    end = time.monotonic() + 1
    time.sleep(0.03)
    while time.monotonic() < min(end, terminal.began + terminal.reads[-1][0] + 0.06):
        time.sleep(0.01)
