from __future__ import annotations

import json
from dataclasses import replace

import pytest
from textual.widgets import Input

from core.engine.events import ModelReleased, TaskEnded, TaskStarted
from core.engine.requests import LoadModel, Reply
from core.steering.terms import SteerGate, kept_terms
from melbo_tui.panes.chat.conversation import recipe
from melbo_tui.panes.chat.pane import ChatPane
from melbo_tui.panes.chat.rack import Rack, Slot, slider
from tests.completions import completion, generated
from tests.melbo_tui.scripted import SIZES, STAMP, ScriptedEngine, opened, screen_text, until
from tests.vectors.making import vector
from vectors.expression import Blocks, KeptTerm
from vectors.store.conversations import Conversations, Turn
from vectors.store.library import Library
from vectors.vector import ModelStamp


@pytest.fixture
def two(library: Library) -> tuple[str, ...]:
    return tuple(v.id for v in library.add([vector(i, f"v{i}", 7, stamp=STAMP) for i in range(2)]))


def _answer(engine: ScriptedEngine, text: str, key: str = "steered") -> None:
    task, _ = engine.last(Reply)
    engine.tell(TaskStarted(task, "replying"))
    engine.tell(generated(task, key, text, 3, True, (0.5, 1.0), 7.0, tokens_per_second=12.5))
    engine.tell(TaskEnded(task, "done"))


@pytest.mark.parametrize("size", SIZES)
async def test_a_conversation_under_turned_vectors(library: Library, two: tuple[str, ...], size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two)
        await pilot.press(*"Hi 1", "shift+right", "shift+right", "shift+up", "shift+left", "enter")
        await pilot.pause()
        _, request = engine.last(Reply)
        (row,) = request.rows
        assert row.messages == (("user", "Hi 1"),)
        assert [(t.vector.name, t.coefficient) for t in row.steering] == [("v0", 0.9), ("v1", 1.2)]
        _answer(engine, "Hello [bold]there[/bold]")
        await pilot.pause()
        shown = screen_text(app)
        figures = ("KL", "0.75", "perplexity 7", "repeats 0%", "12.5", "tokens/s")
        for words in ("Hello [bold]there[/bold]", "0.9 v0 + 1.2 v1", *figures):
            assert words in shown, shown
        (file,) = (library.folder / "talks").glob("*.json")
        (turn,) = json.loads(file.read_text())
        assert turn["completions"]["steered"]["text"] == "Hello [bold]there[/bold]"
        assert turn["completions"]["steered"]["mean_kl"] == 0.75
        assert [term["coefficient"] for term in turn["steering"]] == [0.9, 1.2]
        await pilot.press(*"And", "enter")
        await pilot.pause()
        assert engine.last(Reply)[1].rows[0].messages == (
            ("user", "Hi 1"),
            ("assistant", "Hello [bold]there[/bold]"),
            ("user", "And"),
        )


async def test_rack_keys(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two)
        rack = app.query_one(Rack)
        rack.focus()
        await pilot.press("minus", "left")
        assert rack.slots[1].coefficient == pytest.approx(-1.1)
        await pilot.press("0")
        assert [t.vector.name for t in rack.steering] == ["v0"]
        await pilot.press("0", "v")
        assert len(rack.steering) == 1
        mean = rack.steering[0].vector
        kept = library.get(mean.id)
        assert (kept.name, kept.origin.method) == ("avg(v0, -1.1 v1)", "mixture")
        assert [c for _, c in kept.origin.settings["recipe"]["terms"]] == pytest.approx([0.5, -0.55])
        assert mean.direction[0] == pytest.approx((vector(0).direction[0] - 1.1 * vector(1).direction[0]) / 2, rel=1e-5)
        await pilot.press("o", "t", "x", "x", "x", "x")
        assert rack.slots == []
        assert "No vector steers yet" in screen_text(app)


async def test_an_average_acts_at_the_tokens_of_its_parts(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two)
        rack = app.query_one(Rack)
        rack.focus()
        await pilot.press("t", "v")
        await until(pilot, lambda: any("at the same tokens" in one.message for one in app._notifications))
        assert len(rack.slots) == 2
        await pilot.press("up", "t", "v")
        assert [str(term.tokens) for term in rack.steering] == ["generated"]


async def test_a_click_on_a_rack_that_does_not_fit_chooses_what_is_seen_there(library: Library) -> None:
    made = library.add([vector(i, f"v{i}", 7, stamp=STAMP) for i in range(12)])
    async with opened(library, (80, 24)) as (app, pilot, _):
        await pilot.press("f3")
        app.query_one(ChatPane).add(tuple(one.id for one in made))
        await pilot.pause()
        row = next(i for i, line in enumerate(screen_text(app).splitlines()) if " v9" in line)
        await pilot.click(offset=(5, row))
        await pilot.pause()
        assert app.query_one(Rack).selected == 9


async def test_side_by_side_again_stop_new(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two[:1])
        await pilot.press(*"Hi", "enter", "escape")
        task, _ = engine.last(Reply)
        assert engine.cancelled == [task]
        _answer(engine, "steered words")
        await pilot.pause()
        await pilot.press("f6")
        await pilot.pause()
        assert [r.key for r in engine.last(Reply)[1].rows] == ["unsteered"]
        assert engine.last(Reply)[1].rows[0].steering == ()
        _answer(engine, "plain words", "unsteered")
        await pilot.pause()
        assert "steered words" in screen_text(app)
        assert "plain words" in screen_text(app)
        await pilot.press("f5")
        await pilot.pause()
        assert [r.key for r in engine.last(Reply)[1].rows] == ["steered", "unsteered"]
        _answer(engine, "once more")
        await pilot.pause()
        await pilot.press("escape", "n")
        await pilot.pause()
        assert "No messages yet" in screen_text(app)
        await pilot.press("u")
        await pilot.pause()
        assert "once more" in screen_text(app)


async def test_adding_from_the_library(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3", "escape", "a")
        await pilot.pause()
        await pilot.press(*"v1", "enter")
        await pilot.pause()
        assert [s.vector.name for s in app.query_one(Rack).slots] == ["v1"]


async def test_what_cannot_be(library: Library) -> None:
    wide = library.add([vector(0, "wide", 7, d_model=12, stamp=ModelStamp("other", 12, 4, "x"))])
    async with opened(library, loaded=False) as (app, pilot, engine):
        await pilot.press("f3", *"Hi", "enter")
        await pilot.pause(0.2)
        assert "not loaded yet" in screen_text(app)
        assert app.query_one("#message", Input).value == "Hi", "what was typed must not be lost"
        engine.load()
        await pilot.pause()
        app.query_one(ChatPane).add((wide[0].id, "no/such"))
        await pilot.pause(0.2)
        shown = " ".join(screen_text(app).split())
        assert "wide has width 12, smollm2 has 8" in shown
        assert app.query_one(Rack).slots == []


async def test_a_narrow_rack_tells_what_is_not_as_usual(library: Library, two: tuple[str, ...]) -> None:
    for size in (80, 24), (120, 40):
        async with opened(library, size) as (app, pilot, _):
            await pilot.press("f3")
            first, other = (library.load(id) for id in two)
            gate = SteerGate(other)
            app.query_one(Rack).put_back([Slot(first, blocks=Blocks("range", 1, 9), gate=gate), Slot(other)])
            await pilot.pause()
            assert "blocks 1-9 · gated" in screen_text(app)
            assert "7 · add · all tokens" in screen_text(app)


def test_recipe_and_slider() -> None:
    assert recipe(()) == "unsteered"
    terms = (
        Slot(vector(0, "a"), 1.5).term(),
        Slot(vector(1, "b"), -0.5).term(),
        Slot(vector(2, "c"), 1, operation="ablate").term(),
    )
    assert recipe(kept_terms(terms)) == "1.5 a - 0.5 b + !c"
    for value in (-99.0, -3.0, 0.0, 1.0, 99.0):
        assert slider(value, 20).count("●") == 1
        assert len(slider(value, 20)) == 20


async def test_an_answer_that_comes_after_its_conversation_was_cleared(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f3", *"Hi", "enter")
        await pilot.pause()
        task, _ = engine.last(Reply)
        engine.tell(generated(task, "steered", "Hello", 1, False))
        app.query_one(Rack).focus()
        await pilot.press("n")
        engine.tell(generated(task, "steered", "Hello there", 2, False))
        engine.tell(TaskEnded(task, "cancelled"))
        await pilot.pause()
        assert "No messages yet" in screen_text(app)
        (file,) = (library.folder / "talks").glob("*.json")
        assert json.loads(file.read_text())[0]["completions"]["steered"]["text"] == "Hello there"
        await pilot.press("u")
        await pilot.pause()
        assert "Hello there" in screen_text(app)


async def test_asked_again_without_a_model_nothing_is_lost(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f3", *"Hi", "enter")
        await pilot.pause()
        _answer(engine, "the first answer")
        await pilot.pause()
        await pilot.press("f5")
        await pilot.pause()
        _answer(engine, "the second")
        await pilot.pause()
        (kept,) = Conversations(library.folder).listed()
        (turn,) = Conversations(library.folder).load(kept.id)
        assert turn.completions["steered"].text == "the second"
        assert [before.completions["steered"].text for before in turn.earlier] == ["the first answer"]
        app.loading.load(app.spec)
        engine.tell(ModelReleased(engine.last(LoadModel)[0]))
        await pilot.pause()
        await pilot.press("f5")
        await pilot.pause()
        assert "the second" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_an_earlier_conversation_is_resumed(library: Library, two: tuple[str, ...], size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        await pilot.press("f3", "f4")
        await pilot.pause()
        assert "No earlier conversation" in screen_text(app)
        app.query_one(ChatPane).add(two)
        app.query_one("#message").focus()
        await pilot.press("shift+left", *"Hi", "enter")
        await pilot.pause()
        _answer(engine, "Hello [bold]there[/bold]")
        await pilot.pause()
    async with opened(library, size) as (app, pilot, engine):
        await pilot.press("f3", "f4")
        await pilot.pause()
        assert "1 answer" in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert "Hello [bold]there[/bold]" in screen_text(app)
        assert [slot.coefficient for slot in app.query_one(Rack).slots] == [1.0, 0.9]
        await pilot.press(*"And", "enter")
        await pilot.pause()
        assert [m for _, m in engine.last(Reply)[1].rows[0].messages] == ["Hi", "Hello [bold]there[/bold]", "And"]
        _answer(engine, "Indeed")
        await pilot.pause()
        (kept,) = Conversations(library.folder).listed()
        assert kept.turns == 2


@pytest.mark.slow
async def test_a_resumed_conversation_has_its_vectors_template_arguments(library: Library) -> None:
    made = vector(0, "calm", 7, stamp=STAMP)
    (calm,) = library.add([replace(made, origin=replace(made.origin, settings={"template": {"enable_thinking": False}}))])
    term = KeptTerm(calm.id, "calm")
    Conversations(library.folder).save("one", [Turn("Hi", (term,), {"steered": completion("Hello", 1)})])
    async with opened(library) as (_, pilot, engine):
        await pilot.press("f3", "f4")
        await pilot.pause()
        await pilot.press("enter")
        await pilot.press(*"And", "enter")
        await pilot.pause()
        assert engine.last(Reply)[1].rows[0].template == {"enable_thinking": False}


async def test_what_is_being_answered_is_kept_when_the_app_is_left(library: Library) -> None:
    async with opened(library) as (_, pilot, engine):
        await pilot.press("f3", *"Hi", "enter")
        await pilot.pause()
        engine.tell(generated(engine.last(Reply)[0], "steered", "Half an", 2, False))
        await pilot.pause()
        await pilot.press("ctrl+q")
        await pilot.pause()
    (kept,) = Conversations(library.folder).listed()
    assert Conversations(library.folder).load(kept.id)[0].completions["steered"].text == "Half an"
