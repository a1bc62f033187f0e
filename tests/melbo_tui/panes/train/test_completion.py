"""The completion below the list: read whole, scrolled, continued; and what stands there where none was made."""

from __future__ import annotations

import pytest

from core.engine.events import TaskEnded, VectorFound
from core.engine.requests import Reply, Train
from melbo_tui.panes.train.completion import CompletionView
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.panes.train.results import ResultsTable
from tests.completions import generated
from tests.melbo_tui.scripted import SIZES, ScriptedEngine, opened, screen_text, until
from vectors.store.library import Library

LONG = "\n".join(f"Step {i}: stir the pot." for i in range(1, 61))


async def _trained(app, pilot, engine: ScriptedEngine) -> tuple[int, list[str]]:  # type: ignore[no-untyped-def]
    app.query_one(TrainForm).start()
    await pilot.pause()
    task, _ = engine.last(Train)
    ids = engine.find(task)
    await until(pilot, lambda: app.query_one(ResultsTable).row_count == 5)
    return task, ids


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.slow
async def test_the_whole_completion_can_be_read(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        task, _ = await _trained(app, pilot, engine)
        view = app.query_one(CompletionView)
        engine.tell(generated(task, "0", LONG, 300, True, (1.0,), 4.0))
        await until(pilot, lambda: "Step 1: stir" in screen_text(app))
        assert "60 lines · Enter reads" in screen_text(app)
        assert "Step 60:" not in screen_text(app)
        await pilot.press("shift+down")
        await until(pilot, lambda: view.scroll_offset.y > 0)
        await pilot.press("shift+up")
        await until(pilot, lambda: view.scroll_offset.y == 0)
        before = view.size.height
        await pilot.press("enter")
        await until(pilot, lambda: view.has_focus and view.size.height > before)
        assert "bomb-01" in screen_text(app), "the list still shows whose it is"
        footer = next(line for line in reversed(screen_text(app).splitlines()) if line.strip())
        assert "esc Out" in footer
        assert "x Stop" in footer
        await pilot.press("end")
        await until(pilot, lambda: "Step 60: stir" in screen_text(app))
        await pilot.press("pageup", "up", "home")
        await until(pilot, lambda: "Step 1: stir" in screen_text(app))
        await pilot.press("end", "escape", "down")
        await until(pilot, lambda: "Answer 1" in screen_text(app) and view.scroll_offset.y == 0)
        assert app.focused is app.query_one(ResultsTable)


@pytest.mark.parametrize("size", SIZES)
async def test_what_space_generates_is_seen_as_it_comes(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        run, ids = await _trained(app, pilot, engine)
        start = "Step 1: stir the pot."
        engine.tell(generated(run, "0", start, 40, True, (1.0,), 4.0))
        engine.tell(TaskEnded(run, "done"))
        await pilot.pause()
        await pilot.press("space", "space")
        await pilot.pause()
        task, request = engine.last(Reply)
        assert sum(isinstance(r, Reply) for r in engine.requests) == 1, "it is being generated already"
        assert request.rows[0].max_new_tokens == 240
        assert "generating" in screen_text(app)
        engine.tell(generated(task, "more", "Step", 1, False))
        await pilot.pause()
        assert start in screen_text(app), "what was there stays until there is more"
        for end in range(2, 61):
            engine.tell(generated(task, "more", "\n".join(LONG.split("\n")[:end]), 40 + end, False))
        await until(pilot, lambda: "Step 60: stir" in screen_text(app))
        await pilot.press("shift+up")
        await pilot.pause()
        engine.tell(generated(task, "more", LONG + "\nMore.", 300, False))
        await pilot.pause()
        assert "More." not in screen_text(app), "who reads further up is left there"
        engine.tell(generated(task, "more", LONG + "\nMore. End.", 310, True, (0.5,), 3.0))
        engine.tell(TaskEnded(task, "done"))
        await until(pilot, lambda: library.sample(ids[0], "How can I build a bomb?") is not None)
        sample = library.sample(ids[0], "How can I build a bomb?")
        assert sample is not None
        assert (sample.completion.text[-4:], sample.completion.mean_kl, sample.completion.perplexity) == ("End.", 0.5, 3.0)


async def test_more_that_is_stopped_is_kept_as_far_as_it_came(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        run, ids = await _trained(app, pilot, engine)
        engine.tell(TaskEnded(run, "done"))
        await pilot.pause()
        await until(pilot, lambda: "x Stop" not in screen_text(app))
        await pilot.press("space")
        task, _ = engine.last(Reply)
        engine.tell(generated(task, "more", "Begun and", 2, False, (0.5,)))
        await until(pilot, lambda: "x Stop" in screen_text(app))
        await pilot.press("x")
        assert engine.cancelled == [task]
        engine.tell(TaskEnded(task, "cancelled"))
        await until(pilot, lambda: "x Stop" not in screen_text(app))
        await until(pilot, lambda: library.samples(ids[0]))
        assert library.samples(ids[0])[0].completion.text == "Begun and"
        assert "cut short" not in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_a_vector_without_a_sample_is_marked_and_one_key_makes_it(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        run, _ = engine.last(Train)
        ids = engine.find(run, count=2)
        for i, id in ((2, ids[0]), (3, ids[1])):
            engine.tell(VectorFound(run, i, id, f"late-{i}", 1.0, 9.0))
        engine.tell(generated(run, "3", "Half of a", 3, False))
        engine.tell(TaskEnded(run, "cancelled"))
        await until(pilot, lambda: any("2 without a sample: space makes one" in n.message for n in app._notifications))
        app.clear_notifications()
        await pilot.press("down", "down")
        await until(pilot, lambda: screen_text(app).count("no sample yet: space makes one") >= 2)
        assert "(the sample was cut" in screen_text(app)
        await pilot.press("space")
        await pilot.pause()
        task, _ = engine.last(Reply)
        engine.tell(generated(task, "more", "Now it is there.", 5, True, (0.5,), 3.0))
        engine.tell(TaskEnded(task, "done"))
        await until(pilot, lambda: "no sample yet" not in screen_text(app))
        await pilot.press("f2", "a")
        await until(pilot, lambda: "no sample yet" in screen_text(app))
