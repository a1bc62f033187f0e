from __future__ import annotations

import time

import pytest
from textual.widgets import Input

from core.discovery import METHODS
from core.engine.events import LensRead, TaskEnded
from core.engine.requests import ReadLens, Reply, Train
from melbo_tui.app import MelboApp
from melbo_tui.panes.vectors.pane import VectorsPane
from tests.completions import generated
from tests.melbo_tui.scripted import SIZES, STAMP, opened, screen_text, until
from tests.vectors.making import over, vector
from vectors.store.library import Library, new_run_id
from vectors.store.query import Line
from vectors.vector import ModelStamp


@pytest.mark.parametrize("size", SIZES)
async def test_the_shelf_and_where_a_vector_came_from(stocked: Library, size: tuple[int, int]) -> None:
    async with opened(stocked, size) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        shown = screen_text(app)
        for words in ("bomb-01", "3 kept", "melbo on smollm2", "A sample [b]text"):
            assert words in " ".join(shown.split()), shown
        assert "not-kept" not in _listed(app)
        await pilot.press("a")
        await pilot.pause()
        assert "not-kept" in _listed(app)


async def test_an_empty_library_tells_what_to_do(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        shown = screen_text(app).splitlines()
        assert any("No vectors yet" in line for line in shown[:10]), "at the top, not below an empty list"
        await pilot.press("f")
        await until(pilot, lambda: "Choose a vector" in screen_text(app))


@pytest.mark.slow
async def test_a_family_is_trained_before_any_other_run(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: app.focused is app.query_one("#start"))
        await until(pilot, lambda: METHODS["ortho"].summary[:20] in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: engine.last(Train)[1].method == "ortho")


async def test_escape_takes_the_filter_back_and_leads_to_the_list(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        every = _listed(app)
        await pilot.press("slash", *"02")
        await until(pilot, lambda: _listed(app) == ["bomb-02"])
        await pilot.press("escape")
        await until(pilot, lambda: _listed(app) == every)
        await pilot.press("slash", "escape", "end", "d")  # the keys are the list's again
        await until(pilot, lambda: len(_listed(app)) == len(every) - 1)


@pytest.mark.slow
async def test_filter_delete_undo_rename_note(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "slash", *"02", "enter")
        await pilot.pause()
        assert _listed(app) == ["bomb-02"]
        await pilot.press("d")
        await pilot.pause()
        assert "bomb-02" not in [e.name for e in stocked.entries()]
        await pilot.press("u")
        await pilot.pause()
        assert "bomb-02" in [e.name for e in stocked.entries()]
        await pilot.press("m", *"a note", "escape")
        await until(pilot, lambda: "a note" in screen_text(app))
        assert stocked.find("bomb-02").note == "a note"
        await pilot.press("m", *["backspace"] * 6, "escape")
        await until(pilot, lambda: stocked.find("bomb-02").note == "")
        await pilot.press("r", *["backspace"] * 10, *"bomb-01", "enter")
        await pilot.pause(0.2)
        assert "taken" in screen_text(app)
        app.query_one("#filter", Input).value = "nothing like it"
        await pilot.pause()
        assert "No vector matches" in screen_text(app)


async def test_a_note_that_is_being_written_survives_leaving(stocked: Library) -> None:
    async with opened(stocked) as (_, pilot, _):
        await pilot.press("f2", "m", *"half a thought", "ctrl+q")
        await until(pilot, lambda: any(e.note == "half a thought" for e in stocked.entries()))


def _listed(app: MelboApp) -> list[str]:
    rows = app.query_one(VectorsPane)._table.rows
    return [row.entry.name if isinstance(row, Line) else f"({row.title.split(' · ')[-1]})" for row in rows]


@pytest.mark.slow
async def test_ratings_tags_marks_and_undo(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await pilot.pause()
        await pilot.press("x", "x", "4")
        await pilot.pause()
        assert [line.entry.rating for line in app.query_one(VectorsPane)._lines[:4]].count(4) == 2
        await pilot.press("t", *"code py", "enter")
        await pilot.pause()
        assert {e.tags for e in stocked.entries()} == {("code", "py"), ()}
        await pilot.press("slash", *"tag:code rating>=4", "enter")
        await pilot.pause()
        assert len(_listed(app)) == 2
        await pilot.press("t", *"-py", "enter", "u", "u")
        await pilot.pause()
        assert {e.tags for e in stocked.entries()} == {()}, "the filter hides them now, but they are still marked"
        await pilot.press("u", "u")
        await pilot.pause()
        assert {e.rating for e in stocked.entries()} == {None}
        assert "Nothing to undo" in screen_text(app)
        app.query_one("#filter", Input).value = "norm>many"
        await pilot.pause()
        assert "compared with a number" in screen_text(app)


async def test_runs_sorting_and_columns(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2", "a", "z")
        await pilot.pause()
        assert len(_listed(app)) == 6
        assert "(3 vectors)" in _listed(app)
        await pilot.press("home", "enter")
        await pilot.pause()
        assert len(_listed(app)) in (5, 3)
        await pilot.press("z", "o", *"by name", "enter")
        await pilot.pause()
        assert _listed(app) == sorted(_listed(app))
        await pilot.press("O")
        await pilot.pause()
        assert _listed(app) == sorted(_listed(app), reverse=True)
        await pilot.press("v", "space", "enter")
        await pilot.pause()
        assert "model" in app.settings.columns
        assert "model" in screen_text(app)


async def test_the_workbench_mixes_and_previews(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await pilot.pause()
        await pilot.press("x", "x", "w")
        await pilot.pause()
        app.screen.query_one("#coefficient-0", Input).value = "x"
        await pilot.pause()
        assert "is no number" in screen_text(app)
        await pilot.click("#average")
        await pilot.click("#negate")
        app.screen.query_one("#norm", Input).value = "2"
        app.screen.query_one("#mixture-name", Input).value = "mixed"
        await pilot.pause()
        assert "at norm 2" in screen_text(app)
        await pilot.click("#sample")
        task, request = engine.last(Reply)
        assert request.rows[0].steering[0].vector.norm == pytest.approx(2, rel=1e-5)
        engine.tell(generated(task, "preview", "the [b]completion[/b]", 3, True))
        engine.tell(TaskEnded(task, "done"))
        await pilot.pause()
        assert "the [b]completion[/b]" in screen_text(app)
        await pilot.click("#keep")
        await pilot.pause()
        recipe = stocked.recipe(stocked.find("mixed").id)
        assert recipe is not None
        assert [c for _, c in recipe.terms] == [-0.5, -0.5]
        await pilot.press("escape", "u")
        await pilot.pause()
        assert "mixed" not in [e.name for e in stocked.entries()]


async def test_compare_lens_neighbours_and_a_prompt_of_ones_own(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await pilot.pause()
        await pilot.press("c")
        await pilot.pause()
        assert "mark two with x" in screen_text(app)
        await pilot.press("escape")
        await until(pilot, lambda: "nearest" in screen_text(app))
        await pilot.press("l")
        task, request = engine.last(ReadLens)
        engine.tell(LensRead(task, request.vector.id, (("import", 3.0),), (("sorry", -2.0),)))
        await pilot.pause()
        assert "import +3.0" in screen_text(app)
        await pilot.press("p", *"Hello?", "enter")
        await pilot.pause()
        assert engine.last(Reply)[1].rows[0].messages == (("user", "Hello?"),)
        await pilot.press("x", "c")
        await pilot.pause()
        assert "cosine" in screen_text(app)
        await pilot.press("escape")


@pytest.mark.slow
async def test_ten_thousand_rows_cost_no_more_than_a_screenful(library: Library) -> None:
    for first in range(0, 10_000, 2500):
        library.save_run(new_run_id(), [vector(0, f"v-{first + i}", 7, stamp=STAMP) for i in range(2500)])
    async with opened(library) as (app, pilot, _):
        await pilot.press("f2", "a")
        await pilot.pause()
        assert "10000 in all" in screen_text(app)
        began = time.perf_counter()
        await pilot.press("end", "home", "pagedown")
        app.query_one("#filter", Input).value = "v-77"
        await pilot.pause()
        assert "111 in all" in screen_text(app)
        assert time.perf_counter() - began < 5, "a table that draws every row takes minutes"


async def test_samples_are_made_streamed_and_kept(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2", "space")
        await pilot.pause()
        task, request = engine.last(Reply)
        assert [row.key for row in request.rows] == ["-1.0", "0.0", "1.0", "2.0"]
        assert request.rows[1].steering == ()
        engine.tell(generated(task, "-1.0", "the opposite", 3, True))
        await pilot.pause()
        assert "the opposite" in screen_text(app)
        await pilot.press("escape")
        assert engine.cancelled == [task]
        engine.tell(TaskEnded(task, "cancelled"))
        await pilot.pause()
        id = app.query_one(VectorsPane)._table.current
        assert id is not None
        assert -1.0 in [s.coefficient for s in stocked.samples(id)]


async def test_all_that_are_marked_speak(stocked: Library) -> None:
    async with opened(stocked) as (_, pilot, engine):
        await pilot.press("f2")
        await pilot.pause()
        await pilot.press("x", "x", "p")
        await pilot.pause()
        await pilot.press(*"Hello?", "enter")
        await pilot.pause()
        asked = [request for request in engine.requests if isinstance(request, Reply)]
        assert [request.rows[0].messages for request in asked] == [(("user", "Hello?"),)] * 2
        assert len({request.rows[0].steering[0].vector.id for request in asked}) == 2
        await pilot.press("escape")
        assert len(engine.cancelled) == 2


@pytest.mark.slow
async def test_a_lens_or_a_preview_that_fails_is_told(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await pilot.pause()
        await pilot.press("l")
        engine.tell(TaskEnded(engine.last(ReadLens)[0], "failed", "it has width 8, the model 576"))
        await pilot.pause()
        assert "it has width 8" in screen_text(app)
        await pilot.press("w")
        await pilot.pause()
        await pilot.click("#sample")
        engine.tell(TaskEnded(engine.last(Reply)[0], "failed", "no such thing"))
        await pilot.pause()
        assert "no such thing" in screen_text(app)


async def test_a_filter_that_means_nothing_is_told_as_it_was_typed(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "/ Find" in screen_text(app))
        await pilot.press("slash", *"norm>")
        await until(pilot, lambda: "/ Find" not in screen_text(app))
        app.query_one("#filter", Input).value = "norm>[/]"
        await pilot.pause()
        assert "not with '[/]'" in screen_text(app)


async def test_a_vector_of_another_width_may_stand_in_the_workbench_at_nought(stocked: Library) -> None:
    (wide,) = stocked.add([vector(0, "wide", 7, d_model=12, stamp=ModelStamp("other", 12, 4, "x"))])
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "wide" in screen_text(app))
        app.query_one(VectorsPane)._table.marked = {wide.id, stocked.find("bomb-01").id}
        await pilot.press("w")
        await until(pilot, lambda: "has width" in " ".join(screen_text(app).split()))
        shown = [line for line in screen_text(app).splitlines() if "(norm" in line]
        at = next(i for i, line in enumerate(shown) if "wide" in line)
        app.screen.query_one(f"#coefficient-{at}", Input).value = "0"
        await until(pilot, lambda: "cosine to bomb-01 +1.00" in screen_text(app))


@pytest.mark.slow
async def test_two_that_can_no_longer_be_read_are_not_compared(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("x", "x")
        for file in (stocked.folder / "runs").glob("*"):
            file.unlink()
        await pilot.press("c")
        await until(pilot, lambda: "there is no such file" in screen_text(app))
        await pilot.press("space", "s", "l")
        await pilot.pause()
        assert app._exception is None


async def test_a_vector_over_many_blocks_stands_there_with_all_of_them(library: Library) -> None:
    library.add([over(1, 2, 3, name="happy"), over(1, 2, 3, seed=1, name="sad")])
    async with opened(library, (160, 50)) as (app, pilot, _):
        await pilot.press("f2")
        await until(pilot, lambda: "1-3" in screen_text(app))
        await until(pilot, lambda: "acts on blocks 1-3" in " ".join(screen_text(app).split()))
        await pilot.press("x", "down", "x", "w")
        await until(pilot, lambda: "blocks 1-3)" in screen_text(app))
