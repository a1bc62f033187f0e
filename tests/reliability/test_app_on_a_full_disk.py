"""The app while the disk is full: it says so, keeps what it has in memory, and saves it when there is space."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.engine.events import TaskEnded
from core.engine.requests import Reply
from melbo_tui.panes.chat import pane as chat
from melbo_tui.settings import Settings
from tests.completions import generated
from tests.melbo_tui.scripted import ScriptedEngine, opened, screen_text, until
from tests.reliability.disks import fill, free
from vectors.store.conversations import Conversations
from vectors.store.library import Library


def _answer(engine: ScriptedEngine, text: str) -> None:
    task, _ = engine.last(Reply)
    engine.tell(generated(task, "steered", text, 3, True))
    engine.tell(TaskEnded(task, "done"))


@pytest.mark.parametrize("freed", ["while it runs", "before it ends"])
async def test_a_conversation_is_saved_when_there_is_space(disk: Path, monkeypatch: pytest.MonkeyPatch, freed: str) -> None:
    monkeypatch.setattr(chat, "_SAVE_AGAIN", 0.05 if freed == "while it runs" else 3600.0)
    library = Library(disk / "library")
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f3", *"Hi", "enter")
        await pilot.pause()
        fill(disk)
        _answer(engine, "Hello")
        await until(pilot, lambda: "is full" in screen_text(app))
        assert Conversations(library.folder).listed() == []
        free(disk)
        if freed == "while it runs":
            await until(pilot, lambda: "saved now" in screen_text(app))
        await pilot.press("ctrl+q")
        await pilot.pause()
    (one,) = Conversations(library.folder).listed()
    assert Conversations(library.folder).load(one.id)[0].completions["steered"].text == "Hello"


async def test_settings_that_cannot_be_saved_are_told_once(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_CONFIG", str(disk / "config"))
    async with opened(Library(disk / "library")) as (app, pilot, _):
        fill(disk)
        for prompt in ("one", "two"):
            app.remember(prompt=prompt)
        await pilot.pause()
        assert screen_text(app).count("settings could not be saved") == 1
        free(disk)
        app.remember(sample_prompt="three")
        assert Settings.load() == app.settings


async def test_what_two_apps_remember_does_not_undo_each_other(tmp_path: Path) -> None:
    library = Library(tmp_path / "library")
    async with opened(library) as (app, _, _), opened(library) as (other, _, _):
        app.remember(prompt="of the first")
        other.remember(sample_prompt="of the second")
    assert (Settings.load().prompt, Settings.load().sample_prompt) == ("of the first", "of the second")
