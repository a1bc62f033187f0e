"""Whatever is painted after whatever: what is written makes the terminal show it, and what is shown is not written again."""

from __future__ import annotations

from io import StringIO

import pyte
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from melbo_tui.line.cells import Cells, cells_of

WIDTH, HEIGHT = 24, 5
CONSOLE = Console(file=StringIO(), color_system="truecolor", force_terminal=True)
STYLES = [
    None,
    Style(),
    Style(bold=True),
    Style(color="#102030"),
    Style(color="#102030", bgcolor="#405060"),
    Style(color="red", reverse=True),
    Style(bgcolor="color(200)"),
    Style(color="#a0b0c0", bgcolor="#405060", italic=True),
]
TEXTS = st.text("ab ─█⣿•日本é\u0301\x1b\x07\x9b\u202e\xad\u2028👩\u200d🚀\ufe0f", max_size=12)
STRIPS = st.lists(st.tuples(TEXTS, st.sampled_from(STYLES)), max_size=4)


def strip(parts: list[tuple[str, Style | None]], width: int = WIDTH) -> Strip:
    made = Strip([Segment(text, style) for text, style in parts])
    return Strip(made.adjust_cell_length(width))


def full(lines: list[Strip]) -> LayoutUpdate:
    return LayoutUpdate([[line] for line in lines], Region(0, 0, WIDTH, HEIGHT))


def shown(screen: pyte.Screen) -> list[list[tuple[str, str, str, bool, bool, bool]]]:
    rows = [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]
    return [[(c.data, c.fg, c.bg, c.bold, c.italics, c.reverse) for c in row] for row in rows]


def fresh() -> tuple[pyte.Screen, pyte.Stream]:
    screen = pyte.Screen(WIDTH, HEIGHT)
    screen.reset_mode(7, private=True)  # as the driver sets it: nothing wraps
    return screen, pyte.Stream(screen)


@given(st.lists(st.lists(STRIPS, min_size=HEIGHT, max_size=HEIGHT), min_size=2, max_size=4))
@settings(max_examples=60, deadline=None)
def test_changes_show_what_a_whole_painting_shows(frames: list[list[list[tuple[str, Style | None]]]]) -> None:
    cells, (screen, stream) = Cells(WIDTH, HEIGHT), fresh()
    for frame in frames:
        update = full([strip(line) for line in frame])
        cells.take(update, CONSOLE)
        stream.feed(cells.changes())
        whole, (other, other_stream) = Cells(WIDTH, HEIGHT), fresh()
        whole.take(update, CONSOLE)
        other_stream.feed(whole.changes())
        assert shown(screen) == shown(other)
        cells.take(update, CONSOLE)
        assert cells.changes() == ""


@given(STRIPS)
@settings(max_examples=60, deadline=None)
def test_no_character_that_a_terminal_obeys_becomes_a_cell(parts: list[tuple[str, Style | None]]) -> None:
    made = strip(parts)
    cells = cells_of(made, CONSOLE._color_system)  # type: ignore[arg-type]
    assert not set("\x1b\x07\x9b\u202e\xad\u2028") & set("".join(text for text, _ in cells))
    assert len(cells) == made.cell_length


def test_one_more_token_costs_its_own_bytes() -> None:
    style = Style(color="#e0e0e0", bgcolor="#121212")
    cells = Cells(120, 40)
    lines = [strip([("some words of an answer", style)], 120) for _ in range(40)]
    cells.take(LayoutUpdate([[line] for line in lines], Region(0, 0, 120, 40)), CONSOLE)
    assert len(cells.changes()) > 4000
    lines[7] = strip([("some words of an answer and", style)], 120)
    cells.take(LayoutUpdate([[line] for line in lines], Region(0, 0, 120, 40)), CONSOLE)
    assert len(cells.changes()) < 60


def test_only_the_spans_of_an_update_are_taken() -> None:
    cells, (screen, stream) = Cells(WIDTH, HEIGHT), fresh()
    cells.take(full([strip([("." * WIDTH, None)])] * HEIGHT), CONSOLE)
    stream.feed(cells.changes())
    chops = [{0: strip([("left", None)], 10), 10: strip([("right", None)], 14)} if y == 2 else {} for y in range(HEIGHT)]
    cells.take(ChopsUpdate(chops, [(2, 10, 24)], [[10, 24]] * HEIGHT), CONSOLE)
    stream.feed(cells.changes())
    assert screen.display[2] == "." * 10 + "right" + " " * 9


def test_what_is_shown_is_forgotten_with_the_size() -> None:
    cells = Cells(WIDTH, HEIGHT)
    update = full([strip([("x", None)])] * HEIGHT)
    cells.take(update, CONSOLE)
    first = cells.changes()
    cells.forget()
    assert cells.changes() == first
    cells.resize(WIDTH, HEIGHT)
    assert cells.changes() == ""
    cells.resize(WIDTH, HEIGHT - 1)
    assert cells.changes() != ""
