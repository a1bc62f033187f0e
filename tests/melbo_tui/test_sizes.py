"""From 60x20 on everything can be reached and read; whatever a terminal's size becomes, the header is whole."""

from __future__ import annotations

import random

import pytest
from textual.containers import Vertical
from textual.pilot import Pilot
from textual.widgets import Input
from textual.widgets._footer import FooterKey

from core.engine.requests import Train
from melbo_tui.app import MelboApp
from melbo_tui.breakpoints import LEAST
from melbo_tui.widgets.field import Field
from melbo_tui.widgets.key_footer import KeyFooter
from melbo_tui.widgets.too_small import TooSmall
from tests.melbo_tui.scripted import ScriptedEngine, opened, screen_text, until
from vectors.store.library import Library

SIZES = [(60, 20), *(pytest.param(size, marks=pytest.mark.slow) for size in ((72, 20), (80, 24), (120, 40)))]
_DIALOGS = {"f1": "rm", "f2": "trnevopwimcL", "f3": "hapn"}


def header(app: MelboApp) -> str:
    return screen_text(app).splitlines()[0]


def check_header(app: MelboApp, state: str) -> None:
    line = header(app)
    assert line.startswith(" F1 Train  F2 Vectors  F3 Chat "), line
    assert "smollm2" in line, line
    assert state in line, line
    assert len(line) == app.size.width


def check_footer(app: MelboApp) -> None:
    """Every key that the footer shows stands there whole."""
    footer = app.query_one(KeyFooter)
    last = screen_text(app).splitlines()[-1]
    keys = list(footer.query(FooterKey))
    assert keys
    for key in keys:
        assert f"{key.key_display} {key.description}" in last, (key.description, last)
        assert key.region.right <= app.size.width


async def worked(pilot: Pilot[None], engine: ScriptedEngine) -> None:
    await pilot.press("enter")
    task, _ = engine.last(Train)
    engine.find(task)
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES)
async def test_every_pane_has_a_whole_header_and_footer(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        check_header(app, "○ idle")
        await worked(pilot, engine)
        for pane in ("f1", "f2", "f3"):
            await pilot.press(pane)
            await pilot.pause(0.1)
            check_header(app, "● training")
            check_footer(app)


@pytest.mark.slow
async def test_every_field_of_the_form_can_be_reached_and_seen(library: Library) -> None:
    async with opened(library, tuple(LEAST)) as (app, pilot, _):
        app.query_one("#more").collapsed = False  # type: ignore[attr-defined]
        await pilot.pause()
        await pilot.wait_for_scheduled_animations()  # to what was unfolded
        seen = set()
        for _key in range(40):
            await pilot.press("tab")
            focused = app.focused
            assert focused is not None
            field = next((one for one in focused.ancestors if isinstance(one, Field)), None)
            if field is not None:
                await until(pilot, lambda field=field: field.region in app.query_one("#fields").region, 5)
                seen.add(field.key)
        assert seen == {field.key for field in app.query(Field) if field.display}


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
async def test_every_dialog_fits(library: Library, size: tuple[int, int]) -> None:
    """Its frame is on the screen, and so are its field, what it is about, and the keys that lead out."""
    async with opened(library, size) as (app, pilot, engine):
        await worked(pilot, engine)
        for pane, keys in _DIALOGS.items():
            for key in keys:
                await pilot.press("escape", pane, *(["escape"] if pane == "f3" else ["a", "home"] if pane == "f2" else []))
                app.clear_notifications()
                await pilot.press(key)
                await pilot.pause(0.05)
                if len(app.screen_stack) == 1:
                    continue
                box = app.screen.query(Vertical).first()
                assert box.region in app.screen.region, key
                assert box.region.height > 2
                assert all(box.region.contains_region(field.region) for field in app.screen.query(Input)), key
                bottom = screen_text(app).splitlines()[box.region.bottom - 1]
                assert "Esc" in bottom, (key, bottom)
                assert "…" not in bottom, (key, bottom)
                await pilot.press("escape")


@pytest.mark.slow
async def test_a_notice_covers_dialogs_too_and_keeps_what_is_under_it(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("escape", "f2", "i", *"file")
        await pilot.resize_terminal(10, 3)
        await pilot.pause(0.05)
        assert isinstance(app.screen, TooSmall)
        assert "60x20" in screen_text(app)
        await pilot.press("x", "escape", "enter")
        await pilot.resize_terminal(*LEAST)
        await pilot.pause(0.05)
        assert app.screen.query_one(Input).value.endswith("file")
        await pilot.press("escape")
        await pilot.pause()
        check_header(app, "idle")


@pytest.mark.slow  # of sizes that come and go test_monkey.py has some, and tests/reliability a storm in a terminal
@pytest.mark.parametrize(("seed", "sizes"), [(0, 5), (1, 12), (2, 12)])
async def test_a_storm_of_sizes_leaves_the_header_whole(library: Library, seed: int, sizes: int) -> None:
    """While a run tells of itself, dialogs open and close, down to 10x3 and back."""
    draw = random.Random(seed)
    async with opened(library) as (app, pilot, engine):
        await worked(pilot, engine)
        task, _ = engine.last(Train)
        for _step in range(sizes):
            size = draw.choice(
                [(10, 3), (59, 20), (60, 19), (60, 20), (61, 21), (72, 20), (80, 24), (99, 30), (100, 30), (200, 60)]
            )
            await pilot.resize_terminal(*size)
            if draw.random() < 0.6:
                await pilot.press(draw.choice(["f1", "f2", "f3", "question_mark", "ctrl+p", "escape", "t", "h"]))
            engine.find(task) if draw.random() < 0.1 else None
        await pilot.resize_terminal(60, 20)
        await pilot.pause(0.1)
        while len(app.screen_stack) > 1:
            app.pop_screen()
        await pilot.pause(0.1)
        check_header(app, "● training")
        check_footer(app)
