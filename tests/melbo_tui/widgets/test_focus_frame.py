from __future__ import annotations

from collections.abc import Iterable

import pytest
from textual.css.stylesheet import Stylesheet
from textual.dom import DOMNode

from melbo_tui.app import MelboApp
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.widgets.field import Field
from tests.melbo_tui.scripted import opened, until
from vectors.store.library import Library


def _bold(app: MelboApp) -> list[str]:
    return [field.key for field in app.query(Field) if field.query("Label") and field.query_one("Label").styles.text_style.bold]


async def test_the_form_and_its_field_show_the_focus_and_style_little_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(library) as (app, pilot, _):
        form = app.query_one(TrainForm)
        within = form.styles.border_top
        await until(pilot, lambda: _bold(app) == ["prompt"])
        styled: list[DOMNode] = []
        plain = Stylesheet.update_nodes

        def update_nodes(sheet: Stylesheet, nodes: Iterable[DOMNode], animate: bool = False) -> None:
            nodes = list(nodes)
            styled.extend(nodes)
            plain(sheet, nodes, animate)

        monkeypatch.setattr(Stylesheet, "update_nodes", update_nodes)
        await pilot.press("tab")
        await until(pilot, lambda: _bold(app) not in (["prompt"], []))
        assert len(_bold(app)) == 1
        assert form.styles.border_top == within
        assert 0 < len(styled) < 60, "the form has more than a hundred"
        app.screen.set_focus(None)
        await until(pilot, lambda: _bold(app) == [])
        assert form.styles.border_top != within
        app.query_one("#start").focus()
        await until(pilot, lambda: form.styles.border_top == within)
