from __future__ import annotations

from pathlib import Path

import pytest
from textual.widgets import Input

from core.events import Said, TaskEnded
from core.requests import Reply
from melbo_tui.panes.rack import Rack
from melbo_tui.panes.vectors import VectorsPane
from tests.melbo_tui.scripted import STAMP, opened, screen_text, until
from tests.vectors.making import vector
from vectors.formats import safetensors_file
from vectors.library import Library, Sample


@pytest.fixture
def stocked(library: Library) -> Library:
    saved = library.add([vector(i, f"bomb-{i + 1:02d}", 7, stamp=STAMP) for i in range(3)])
    library.add([vector(9, "found-only", 7, stamp=STAMP)], kept=False)
    library.add_sample(saved[0].id, Sample("p", 1.0, "A sample [b]text[/b]"))
    return library


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_shelf_and_where_a_vector_came_from(stocked: Library, size: tuple[int, int]) -> None:
    async with opened(stocked, size) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        shown = screen_text(app)
        for words in ("bomb-01", "3 kept", "melbo on smollm2", "A sample [b]text[/b]"):
            assert words in " ".join(shown.split()), shown
        assert "found-only" not in shown
        await pilot.press("a")
        await pilot.pause()
        assert "found-only" in screen_text(app)


async def test_an_empty_library_speaks(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        assert "Nothing is kept yet" in screen_text(app)


async def test_filter_delete_undo_rename_note(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "slash", *"02", "enter")
        await pilot.pause()
        assert "bomb-01" not in screen_text(app)
        await pilot.press("d")
        assert "bomb-02" not in [e.name for e in stocked.entries()]
        await pilot.press("u")
        assert "bomb-02" in [e.name for e in stocked.entries()]
        await pilot.press("m", *"a note", "enter")
        await pilot.pause()
        assert "a note" in screen_text(app)
        await pilot.press("r", *["backspace"] * 10, *"bomb-01", "enter")
        await pilot.pause(0.2)
        assert "taken" in screen_text(app)
        app.query_one("#filter", Input).value = "nothing like it"
        await pilot.pause()
        assert "No vector fits" in screen_text(app)


async def test_samples_are_made_streamed_and_kept(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2", "space")
        await pilot.pause()
        task, request = engine.last(Reply)
        assert [row.key for row in request.rows] == ["-1.0", "0.0", "1.0", "2.0"]
        assert request.rows[1].steering == ()
        engine.tell(Said(task, "-1.0", "the opposite", 3, True))
        await pilot.pause()
        assert "the opposite" in screen_text(app)
        await pilot.press("escape")
        assert engine.cancelled == [task]
        engine.tell(TaskEnded(task, "cancelled"))
        await pilot.pause()
        id = app.query_one(VectorsPane)._table.current
        assert id is not None
        assert -1.0 in [s.coefficient for s in stocked.samples(id)]


async def test_steer_with_this_and_export(stocked: Library, tmp_path: Path) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "e")
        await pilot.pause()
        app.screen.query_one(Input).value = str(tmp_path / "none" / "x.safetensors")
        await pilot.press("enter")
        await pilot.pause()
        assert "folder does not exist" in screen_text(app)
        app.screen.query_one(Input).value = str(tmp_path / "x.safetensors")
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "x.safetensors").exists())
        name = safetensors_file.read(tmp_path / "x.safetensors")[0].name
        await pilot.press("s")
        await pilot.pause()
        assert [slot.vector.name for slot in app.query_one(Rack).slots] == [name]
        assert "Steered" in screen_text(app)
