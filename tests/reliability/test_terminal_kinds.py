"""Terminals that cannot place text, or show few colours or none, and terminals whose size changes at any moment."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest

from tests.reliability.stranger import stock
from tests.reliability.stranger_terminal import F2, F3, F9, HARMLESS, settle, started
from tests.reliability.terminal import PROGRAM, Terminal

_KEYS = ["\r", "\x1b", "\x1b[B", "m", "\x1b", F2, "a", "\x1b[B", "t", "\x1b", F3, "hello\r", F9]


def styles(written: bytes) -> list[list[int]]:
    return [[int(number or 0) for number in codes.split(b";")] for codes in re.findall(rb"\x1b\[([\d;]*)m", written)]


def colors(written: bytes) -> tuple[set[int], set[tuple[int, ...]]]:
    """The codes of plain colours, and the colours of palettes (5, N) and of red, green and blue (2, R, G, B)."""
    plain: set[int] = set()
    mixed: set[tuple[int, ...]] = set()
    for codes in styles(written):
        while codes:
            code = codes.pop(0)
            if code in (38, 48):
                count = 2 if codes[0] == 5 else 4
                mixed.add(tuple(codes[:count]))
                del codes[:count]
            elif code >= 30:
                plain.add(code)
    return plain, mixed


def shown(folder: Path, **environment: str) -> bytes:
    """What the app writes while it trains, opens dialogs and chats."""
    with started("app", folder, HARMLESS, **environment) as terminal:
        terminal.wait_for("idle")
        for key in _KEYS:
            terminal.send(key)
            settle(terminal)
        terminal.wait_for("the end")
        return bytes(terminal.written)


@pytest.mark.parametrize("kind", ["dumb", "unknown"])
def test_a_terminal_that_only_prints_gets_one_line(tmp_path: Path, kind: str) -> None:
    with Terminal([*PROGRAM, "--library", str(tmp_path / "library")], environment={"TERM": kind}) as terminal:
        terminal.wait_end()
        time.sleep(0.1)
        text = bytes(terminal.written).decode()
    assert terminal.process.returncode == 1
    assert "\x1b" not in text
    assert f"(TERM={kind})" in text
    assert "melbo-tui --help" in text
    assert text.count("\n") == 1


@pytest.mark.parametrize("depth", ["truecolor", pytest.param("", marks=pytest.mark.slow)])
def test_without_colours_there_are_greys(tmp_path: Path, depth: str) -> None:
    plain, mixed = colors(shown(tmp_path / "app", NO_COLOR="1", COLORTERM=depth))
    assert not plain - {39, 49}
    assert mixed
    assert all(len(set(one[1:])) == 1 if one[0] == 2 else one[1] in {16, 231, *range(232, 256)} for one in mixed), mixed
    assert any(len(set(one[1:])) > 1 for one in colors(shown(tmp_path / "other", COLORTERM="truecolor"))[1])


@pytest.mark.parametrize("kind", ["linux", pytest.param("xterm-16color", marks=pytest.mark.slow)])
def test_of_sixteen_colours_what_is_chosen_has_one(tmp_path: Path, kind: str) -> None:
    """The cursor's line has a background that is no shade of black."""
    with started("app", tmp_path / "app", HARMLESS, TERM=kind, COLORTERM="") as terminal:
        terminal.wait_for("idle")
        for key, comes in ((F2, "2 kept"), ("a", "2 in all")):
            terminal.send(key)
            terminal.wait_for(comes)
        settle(terminal)
        terminal.screen()
        line = terminal.line_with("PWN7 harmless P…")
        assert not colors(bytes(terminal.written))[1]
    assert {cell.bg for cell in line[2:20]} == {"cyan"}


def test_commands_have_no_colours(tmp_path: Path) -> None:
    library = stock(tmp_path / "library", "harmless").folder
    command = [*PROGRAM, "vectors", "list", "--library", str(library)]
    with Terminal(command, environment={"COLORTERM": "truecolor"}) as terminal:
        terminal.wait_for("harmless")
        assert b"\x1b" not in bytes(terminal.written)


def storm(terminal: Terminal, seed: int, sizes: int) -> None:
    """Sizes that follow each other faster than they can be drawn; at the end the header is whole."""
    draw = random.Random(seed)
    for _ in range(sizes):
        terminal.resize(*draw.choice([(10, 3), (59, 20), (60, 20), (80, 24), (99, 30), (100, 30), (160, 50)]))
        if draw.random() < 0.3:
            terminal.send(draw.choice([F2, F3, "\x1bOP", "?", "\x1b"]))
        time.sleep(draw.choice([0, 0.005, 0.05]))
    for size in ((10, 3), (60, 20)):
        terminal.resize(*size)
        settle(terminal)
    for _ in range(3):
        terminal.send("\x1b")
        time.sleep(0.15)
    terminal.send(F2)
    terminal.wait_for("Library")
    end = time.monotonic() + 10  # a busy machine takes a while to lay out the last size
    while not re.match(r" F1 Train  F2 Vectors  F3 Chat .*[○●◌‖] \w+ $", first := terminal.screen().splitlines()[0]):
        assert time.monotonic() < end, first
        time.sleep(0.05)


def test_a_storm_of_sizes_leaves_the_header_whole(tmp_path: Path) -> None:
    with started("app", tmp_path / "app", HARMLESS) as terminal:
        terminal.wait_for("idle")
        terminal.send("\r")
        storm(terminal, 0, 25)
        assert "PWN7" in terminal.screen().splitlines()[0]


@pytest.mark.slow
def test_sizes_while_it_trains_and_answers(tmp_path: Path, tiny_folder: Path) -> None:
    command = [*PROGRAM, "--model", str(tiny_folder), "--library", str(tmp_path / "library")]
    with Terminal(command, environment={"MELBO_TUI_CONFIG": str(tmp_path / "config"), "ESCDELAY": "20"}) as terminal:
        terminal.wait_for("idle", 60)
        terminal.send("\r")
        for seed in range(4):
            storm(terminal, seed, 40)
            terminal.wait_for("^p palette")  # notices may lie over it for a while
            assert "tiny-llama" in terminal.screen().splitlines()[0]
            terminal.send(f"{F3}hello\r")
        assert terminal.process.poll() is None
