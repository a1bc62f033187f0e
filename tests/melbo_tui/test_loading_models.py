"""Another model from the palette: what is not there is told in the dialog, and the loaded model stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Input, Static

from core.engine.events import ModelReleased, Progressed, TaskEnded, TaskStarted
from core.engine.requests import LoadModel
from melbo_tui.app import MelboApp
from melbo_tui.widgets.dialogs import Ask
from tests.melbo_tui.scripted import SIZES, ScriptedEngine, opened, screen_text, until
from vectors.store.library import Library


def _wrong(app: MelboApp) -> str:
    """What the open dialog complains of."""
    return str(app.screen.query_one("#wrong", Static).content)


def _told(app: MelboApp) -> str:
    return "\n".join(notification.message for notification in app._notifications)


async def _ask_for(app: MelboApp, pilot: Pilot[None], text: str) -> None:
    if not isinstance(app.screen, Ask):
        app.loading.ask_for_model()
        await pilot.pause()
    app.screen.query_one(Input).value = text
    await pilot.press("enter")


def _loads(engine: ScriptedEngine) -> list[str]:
    return [request.spec.model for request in engine.requests if isinstance(request, LoadModel)]


@pytest.mark.parametrize("size", SIZES)
async def test_a_mistyped_model_is_told_in_the_dialog(library: Library, tiny_folder: Path, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        for text, words in (
            ("/nowhere/at/all", "there is no model"),
            ("no-such/model", "no-such/model is not on this machine"),
        ):
            await _ask_for(app, pilot, text)
            await until(pilot, lambda words=words: words in _wrong(app))
            assert app.screen.query_one(Input).value == text
        assert _loads(engine) == ["bundled"]
        assert engine.cancelled == []
        await _ask_for(app, pilot, str(tiny_folder))
        await until(pilot, lambda: not isinstance(app.screen, Ask))
        assert _loads(engine) == ["bundled", str(tiny_folder)]
        assert app.model is not None


@pytest.mark.parametrize("size", SIZES)
async def test_what_fails_while_it_is_fetched_leaves_the_loaded_model(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.loading.load(app.spec_of("owner/other"))
        task, _ = engine.last(LoadModel)
        engine.tell(TaskStarted(task, "loading owner/other"))
        engine.tell(Progressed(task, "fetching owner/other", 0.4, 1.0))
        await pilot.pause()
        assert "fetching owner/other" in screen_text(app)
        assert "smollm2" in screen_text(app).splitlines()[0]
        engine.tell(TaskEnded(task, "failed", "the hub has no model [owner/other]", "check its spelling"))
        await pilot.pause(0.2)
        assert "the hub has no model [owner/other] (check its spelling)\nsmollm2 is still loaded" in _told(app)
        assert "the hub has no" in screen_text(app)
        assert (app.spec.model, app.trouble) == ("bundled", "")
        app.clear_notifications()
        app.loading.ask_for_model()
        await pilot.pause()
        assert app.screen.query_one(Input).value == "owner/other"
        assert "the hub has no model [owner/other]" in _wrong(app)


async def test_weights_that_fail_bring_the_old_model_back_once(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.loading.load(app.spec_of("owner/other"))
        task, _ = engine.last(LoadModel)
        for event in (TaskStarted(task, "loading"), ModelReleased(task), TaskEnded(task, "failed", "torn weights", "")):
            engine.tell(event)
        await pilot.pause(0.2)
        assert _loads(engine) == ["bundled", "owner/other", "bundled"]
        assert "bundled was unloaded to make room, and is loaded again" in _told(app)
        assert app.model is None
        task, _ = engine.last(LoadModel)
        engine.tell(TaskEnded(task, "failed", "no memory", "buy some"))
        await pilot.pause(0.2)
        assert len(_loads(engine)) == 3
        assert "no model: no memory (buy some)" in screen_text(app).splitlines()[0]
        app.loading.load(app.spec)
        engine.load()  # whoever asks again has it
        await pilot.pause()
        assert app.model is not None


async def test_an_adapter_that_is_none_is_told_in_the_dialog(library: Library, tmp_path: Path) -> None:
    async with opened(library) as (app, pilot, engine):
        app.loading.ask_for_adapter()
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await until(pilot, lambda: "holds no PEFT adapter" in _wrong(app))
        assert _loads(engine) == ["bundled"]
        await pilot.press("escape")
        assert app.model is not None


async def test_a_screenshot_says_where_it_is_or_why_there_is_none(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    monkeypatch.setenv("HOME", str(home))  # as on a machine without a desktop: no downloads folder
    monkeypatch.delenv("XDG_DOWNLOAD_DIR", raising=False)
    monkeypatch.chdir(here)
    async with opened(library) as (app, pilot, _):
        take = next(command.callback for command in app.get_system_commands(app.screen) if command.title == "Screenshot")
        take()
        await until(pilot, lambda: "Written to" in screen_text(app))
        (picture,) = here.glob("melbo-tui-*.svg")
        assert "Train" in picture.read_text()
        assert str(picture) in _told(app)
        app.clear_notifications()
        app.deliver_screenshot(path=str(tmp_path / "nowhere"))
        await until(pilot, lambda: "could not be written" in _told(app))
        assert "No such file" in _told(app)
