from __future__ import annotations

import pytest

from core.engine.events import Progressed, TaskEnded, TaskStarted
from core.engine.requests import LoadModel
from melbo_tui.app import MelboApp
from melbo_tui.widgets.dialogs import Help
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from vectors.store.library import Library


@pytest.mark.parametrize("size", SIZES)
async def test_panes_are_one_key_away(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, _):
        for key, words in (("f3", "No messages yet"), ("f2", "Library"), ("f1", "Prompt")):
            await pilot.press(key)
            await pilot.pause()
            assert words in screen_text(app)
        app.screen.set_focus(None)
        await pilot.press("3")
        await pilot.pause()
        assert "Rack" in screen_text(app)


async def test_loading_is_shown_and_its_failure_is_told(library: Library) -> None:
    async with opened(library, loaded=False) as (app, pilot, engine):
        task, request = engine.last(LoadModel)
        assert request.spec.model == "bundled"
        engine.tell(TaskStarted(task, "loading bundled"))
        engine.tell(Progressed(task, "dequantising the weights", 0.4, 1.0))
        await pilot.pause()
        assert "dequantising the weights · 40%" in screen_text(app)
        assert "Stop loading" in [command.title for command in app.get_system_commands(app.screen)]
        engine.tell(TaskEnded(task, "failed", "there is no [model]", "run this line"))
        await pilot.pause(0.2)
        shown = screen_text(app)
        for words in ("No model: there is no [model] (run this line)", "Ctrl+P, Load a model"):
            assert words in shown
        await pilot.press("f2")  # what needs no model goes on
        await pilot.pause()
        assert "No vectors yet" in screen_text(app)


async def test_another_model_is_loaded_from_the_palette(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.loading.ask_for_model()
        await pilot.pause()
        await pilot.press(*["backspace"] * 10, *"smollm2", "enter")
        await until(pilot, lambda: engine.last(LoadModel)[1].spec.model == "smollm2")


@pytest.mark.parametrize(
    ("size", "small"),
    [((59, 20), True), ((60, 19), True), ((60, 20), False), pytest.param((200, 60), False, marks=pytest.mark.slow)],
)
async def test_a_terminal_too_small_says_so(library: Library, size: tuple[int, int], small: bool) -> None:
    async with opened(library, size) as (app, pilot, _):
        await pilot.pause()
        assert ("60x20 cells are needed" in " ".join(screen_text(app).split())) is small


@pytest.mark.slow
async def test_the_guide_and_every_theme(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        app.screen.set_focus(None)
        await pilot.press("question_mark")
        await pilot.pause()
        assert isinstance(app.screen, Help)
        await pilot.press("escape")
        for theme in sorted(app.available_themes):
            app.theme = theme
            await pilot.pause()
        app.theme = "textual-dark"


async def test_quitting_closes_the_engine(library: Library) -> None:
    async with opened(library) as (_app, pilot, engine):
        await pilot.press("ctrl+q")
        await until(pilot, lambda: engine.closed)


async def test_a_hang_up_leaves_in_order(library: Library) -> None:
    import os
    import signal

    async with opened(library) as (app, pilot, engine):
        with app.leaving.listening():
            os.kill(os.getpid(), signal.SIGHUP)
            await until(pilot, lambda: engine.closed)
            await until(pilot, lambda: app.return_code == 128 + signal.SIGHUP)


async def test_the_palette_offers_what_the_pane_does(library: Library) -> None:
    async with opened(library) as (app, _, _):
        assert isinstance(app, MelboApp)
        titles = [command.title for command in app.get_system_commands(app.screen)]
        for words in ("Load a model", "Keep (k)", "Pause (z)"):
            assert words in titles
