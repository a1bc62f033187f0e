"""Thoughts and template arguments on the screen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from textual.widgets import Static

from core.engine.events import Said, TaskEnded
from core.engine.requests import MeasurePrompt, Reply, Train
from melbo_tui.panes.chat.pane import ChatPane
from melbo_tui.panes.train.form import TrainForm
from tests.melbo_tui.scripted import SIZES, STAMP, opened, screen_text, until
from tests.vectors.making import vector
from vectors.store.conversations import Talks
from vectors.store.library import Library, Sample
from vectors.vector import SteeringVector

THOUGHT = "Okay, the user asks"


def _thinking(task: int, key: str, **more: Any) -> Said:
    return Said(task, key, "", 57, False, thought=THOUGHT, thought_tokens=57, thinking=True, **more)


def _answered(task: int, key: str) -> Said:
    return Said(task, key, "First cut the wood.", 217, True, (0.5,), 7.0, thought=THOUGHT, thought_tokens=212)


def _trained(**settings: Any) -> SteeringVector:
    one = vector(1, "saw-01", 7, stamp=STAMP)
    return replace(one, origin=replace(one.origin, settings={**one.origin.settings, **settings}))


async def test_a_run_asks_with_the_template_s_arguments(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        form = app.query_one(TrainForm)
        form.fill({"template": "enable_thinking", "thought_tokens": "64"})
        form.start()
        await pilot.pause()
        assert "KEY=VALUE" in str(app.query_one("#explanation", Static).content)
        assert not [request for request in engine.requests if isinstance(request, Train)]
        form.fill({"template": "enable_thinking=false effort=low"})
        await until(pilot, lambda: any(isinstance(r, MeasurePrompt) and r.prompt.template for r in engine.requests))
        form.start()
        await pilot.pause()
        _, request = engine.last(Train)
        assert request.prompts[0].template == {"enable_thinking": False, "effort": "low"}
        assert request.thought_tokens == 64


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_s_thoughts_are_folded(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        task, _ = engine.last(Train)
        engine.find(task, 1)
        engine.tell(_thinking(task, "0"))
        await until(pilot, lambda: "(thinking: 57 tokens)" in screen_text(app))
        engine.tell(_answered(task, "0"))
        await until(pilot, lambda: "First cut the wood." in screen_text(app))
        assert "thought for 212 tokens · y unfolds" in screen_text(app)
        assert THOUGHT not in screen_text(app)
        await pilot.press("y")
        await pilot.pause()
        assert THOUGHT in screen_text(app)
        await pilot.press("y", "space")
        await pilot.pause()
        assert THOUGHT not in screen_text(app)
        more, request = engine.last(Reply)
        engine.tell(_answered(more, "more"))
        await pilot.pause()
        samples = library.samples(request.rows[0].steering[0].vector.id)
        assert (samples[0].text, samples[0].thought) == ("First cut the wood.", THOUGHT)


async def test_a_vector_s_samples_are_asked_as_it_was_trained_and_their_thoughts_folded(library: Library) -> None:
    (one,) = library.add([_trained(template={"enable_thinking": True})])
    library.add_sample(one.id, Sample("p", 1.0, "First cut the wood.", 0.5, thought=THOUGHT))
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "thought for 4 words" in screen_text(app))
        assert "template enable_thinking=true" in " ".join(screen_text(app).split())
        assert THOUGHT not in screen_text(app)
        await pilot.press("y")
        await pilot.pause()
        assert THOUGHT in screen_text(app)
        await pilot.press("space")
        await pilot.pause()
        _, request = engine.last(Reply)
        assert all(row.template == {"enable_thinking": True} for row in request.rows)


@pytest.mark.slow
async def test_a_vector_brings_its_arguments_to_the_chat_where_thoughts_are_folded(library: Library) -> None:
    (one,) = library.add([_trained(template={"enable_thinking": True})])
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f3")
        app.query_one(ChatPane).add((one.id,))
        await pilot.press(*"Hi", "enter")
        await pilot.pause()
        task, request = engine.last(Reply)
        assert request.rows[0].template == {"enable_thinking": True}
        assert "enable_thinking=true" in screen_text(app)
        app.clear_notifications()
        engine.tell(_thinking(task, "steered"))
        await pilot.pause()
        assert "(thinking: 57 tokens)" in screen_text(app)
        engine.tell(_answered(task, "steered"))
        engine.tell(TaskEnded(task, "done"))
        await pilot.pause()
        assert "thought for 212 tokens · F8 unfolds" in screen_text(app)
        await pilot.press("f8")
        await pilot.pause()
        assert THOUGHT in screen_text(app)
        await pilot.press("f7", *["backspace"] * 30, *"broken", "enter")
        await pilot.pause()
        assert "KEY=VALUE" in screen_text(app)
        await pilot.press(*["backspace"] * 10, "enter", *"Go on", "enter")
        await pilot.pause()
        _, request = engine.last(Reply)
        assert request.rows[0].template == {}
        assert request.rows[0].messages[1] == ("assistant", "First cut the wood."), "without the thought"
    talks = Talks(library.folder)
    assert talks.load(talks.listed()[0].id)[0].thoughts == {"steered": THOUGHT}
