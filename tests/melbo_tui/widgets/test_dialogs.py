from __future__ import annotations

from textual.app import App, ComposeResult
from textual.widgets import Label

from melbo_tui.widgets.dialog import Dialog
from melbo_tui.widgets.palette import Palette
from tests.melbo_tui.scripted import opened
from vectors.store.library import Library


class Question(Dialog[str]):
    def compose(self) -> ComposeResult:
        yield Label("?")


async def test_a_dialog_goes_once_however_often_it_is_dismissed() -> None:
    app, given = App[None](), []
    async with app.run_test() as pilot:
        dialog = Question()
        app.push_screen(dialog, given.append)
        await pilot.pause()
        for answer in ("first", "second", "third"):
            dialog.dismiss(answer)
        await pilot.pause()
        assert given == ["first"]
        assert len(app.screen_stack) == 1


async def test_a_dialog_that_is_dismissed_under_another_takes_none_with_it() -> None:
    app, given = App[None](), []
    async with app.run_test() as pilot:
        below, above = Question(), Question()
        app.push_screen(below, given.append)
        app.push_screen(above, given.append)
        await pilot.pause()
        below.dismiss("below")
        await pilot.pause()
        assert app.screen is above
        above.dismiss("above")
        await pilot.pause()
        assert given == ["above", "below"]
        assert len(app.screen_stack) == 1


async def test_the_palette_bears_two_escapes_in_a_row(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("ctrl+p")
        await pilot.pause()
        palette = app.screen
        assert isinstance(palette, Palette)
        palette.dismiss()
        palette.dismiss()
        await pilot.pause()
        assert len(app.screen_stack) == 1
