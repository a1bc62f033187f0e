"""No text of a stranger's acts on the terminal, at whatever door it comes: in the app, in what commands print, in a crash."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.reliability.escapes import MARKER, Written, hostile_text
from tests.reliability.stranger_terminal import F2, F3, F9, HARMLESS, settle, started
from tests.reliability.terminal import Terminal

_FAST = (
    f"{MARKER}\x1b[7777m{MARKER}\x1b]52;c;{MARKER}\x07\x9b7777m\x1bP{MARKER}\x1b\\"
    f"\u202e\x7f[@click=app.quit]{MARKER}[/]\x1b[2J\u0301"
)
PASTE = "paste"
# A run, its list, a name; the library, its dialogs and an import; a chat, an earlier one; then the crash.
FEW = [
    PASTE,
    "\r",
    "\x1b",
    "k",
    F2,
    "a",
    "l",
    "t",
    PASTE,
    "\r",
    "i",
    PASTE,
    "\r",
    "\x1b",
    F3,
    PASTE,
    "\r",
    "\x1b",
    "h",
    "\r",
    F9,
]
ALL = [
    PASTE, "\r", "\x1b", "\x1b[B", "k", "p", "y", "r", PASTE, "\r", "\x1b", "?", "\x1b", "\x10", PASTE, "\x1b", "m", "\r", "\r",
    "\x1b", "m", "\x1b[B", "\r", "\r", "p", "\x1b[C", "\x1b", F2, "a", "\x1b[B", " ", "l", "y", "t", PASTE, "\r", "\x1b", "e",
    PASTE, "\x1b", "i", PASTE, "\r", "\x1b", "n", "\r", "\r", "p", "\x1b", "m", PASTE, "\x1b", "z", "x", "x", "w", "\x1b", "c",
    "\x1b", "/", PASTE, "\x1b", F3, PASTE, "\r", "\x1b", "h", "\r", "\x1b", "a", "\r", "b", "y", "p", PASTE, "\r", "\x1b", F9,
]  # fmt: skip


def walk(terminal: Terminal, text: str, keys: list[str]) -> Written:
    """Presses `keys`, pasting `text`; the last one brings the app down."""
    with terminal:
        terminal.wait_for("idle")
        for key in keys:
            terminal.send((f"\x1b[200~{text}\x1b[201~" if key == PASTE else key).encode("utf-8", "surrogatepass"))
            settle(terminal)
        terminal.wait_for("the end")
        return Written.of(bytes(terminal.written))


def printed(terminal: Terminal) -> Written:
    with terminal:
        terminal.process.wait(120)
        time.sleep(0.1)
        return Written.of(bytes(terminal.written))


def test_a_strangers_text_acts_on_nothing(tmp_path: Path) -> None:
    app, commands = started("app", tmp_path / "app", _FAST), started("commands", tmp_path / "commands", _FAST)
    shown = walk(app, _FAST, FEW)
    shown.check()
    assert "ValueError" in shown.text
    said = printed(commands)
    said.check({"\r"})
    assert "the end" in said.text
    assert min(written.text.count(MARKER) for written in (shown, said)) > 20


def attack(folder: Path, seeds: range) -> None:
    """Nothing acts but what acts with harmless text as well."""
    harmless = walk(started("app", folder / "harmless", HARMLESS), HARMLESS, ALL)
    harmless.check()
    for seed in seeds:
        text = hostile_text(random.Random(seed))
        commands = started("commands", folder / f"{seed}-commands", text)
        shown = walk(started("app", folder / f"{seed}", text), text, ALL)
        # The column is said behind what is wide, of which a harmless text may have none.
        for written, kinds in ((shown, harmless.kinds | {"\x1b[#G"}), (printed(commands), {"\r"})):
            written.check(kinds)
            assert written.text.count(MARKER) > 20, ascii(text)


@pytest.mark.slow
def test_random_texts_of_strangers_act_on_nothing(tmp_path: Path) -> None:
    attack(tmp_path, range(2))


@pytest.mark.soak
def test_attack_terminal(tmp_path: Path) -> None:
    runs = 60
    attack(tmp_path, range(1000, 1000 + runs))
    print(f"FIGURE | hostile texts of 5 payloads each, at every door of the app and of the commands, that acted | 0 of {runs}")
