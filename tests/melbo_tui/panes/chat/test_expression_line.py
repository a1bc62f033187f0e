"""What steers, typed in one line on the chat's rack."""

from __future__ import annotations

import pytest
from textual.widgets import Input, Static

from core.engine.events import TaskEnded, TaskStarted
from core.engine.requests import Reply
from melbo_tui.panes.chat.pane import ChatPane
from melbo_tui.panes.chat.rack import Rack
from melbo_tui.widgets.expression_line import ExpressionLine
from tests.completions import generated
from tests.melbo_tui.scripted import SIZES, STAMP, opened, screen_text
from tests.vectors.making import vector
from vectors.expression import KeptGate, KeptTerm
from vectors.store.conversations import Conversations
from vectors.store.index import LibraryError
from vectors.store.library import Library


@pytest.fixture
def two(library: Library) -> tuple[str, ...]:
    return tuple(v.id for v in library.add([vector(i, name, 7, stamp=STAMP) for i, name in enumerate(("calm", "avg(a, b)"))]))


@pytest.mark.parametrize("size", SIZES)
async def test_an_expression_typed_steers_and_is_kept(library: Library, two: tuple[str, ...], size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two)
        await pilot.press("escape", "0", "colon")
        await pilot.pause()
        line = app.screen.query_one(Input)
        assert line.value == "calm", "what is muted does not steer"
        await pilot.press(*"@generated@blocks:3-9 + 2 !AV", "tab", *"@when:ca", "tab", *">0.5")
        await pilot.pause()
        assert line.value == 'calm@generated@blocks:3-9 + 2 !"avg(a, b)"@when:calm>0.5'
        await pilot.press("enter")
        await pilot.pause()
        rack = app.query_one(Rack)
        assert [slot.written() for slot in rack.slots] == ["calm@generated@blocks:3-9", '2 !"avg(a, b)"@when:calm>0.5']
        await pilot.press("i", *"Hi", "enter")
        await pilot.pause()
        task, request = engine.last(Reply)
        first, second = request.rows[0].steering
        assert (str(first.tokens), str(first.blocks), first.operation) == ("generated", "3-9", "add")
        assert (second.operation, second.coefficient, second.gate.vector.id, second.gate.threshold) == (
            "ablate",
            2,
            two[0],
            0.5,
        )
        engine.tell(TaskStarted(task, "replying"))
        engine.tell(generated(task, "steered", "Hello", 3, True))
        engine.tell(TaskEnded(task, "done"))
        await pilot.pause()
        assert "calm@generated@blocks:3-9" in screen_text(app)
    (one,) = Conversations(library.folder).listed()
    kept = (
        KeptTerm(two[0], "calm", positions="generated", blocks="3-9"),
        KeptTerm(two[1], "avg(a, b)", 2.0, "ablate", gate=KeptGate(two[0], "calm", 0.5)),
    )
    assert Conversations(library.folder).load(one.id)[0].steering == kept
    async with opened(library, size) as (app, pilot, engine):
        await pilot.press("f3", "f4")
        await pilot.pause()
        await pilot.press("enter", "enter")
        await pilot.pause()
        again = [slot.written() for slot in app.query_one(Rack).slots]
        assert again == ["calm@generated@blocks:3-9", '2 !"avg(a, b)"@when:calm>0.5']


_WRONG = [
    ("calm@gnerated", 5, "did you mean @generated?"),
    ("calm + clam", 8, "did you mean calm?"),
    ("1e10 calm", 1, "from -1,000,000,000"),
    ("calm@blocks:3-40", 1, "smollm2 has blocks 0 to 29"),
    ("calm@blocks:3-9@when:calm>0", 22, "behind block 3"),
]


async def test_what_is_wrong_stands_under_its_column(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3", "escape")
        for typed, caret, told in _WRONG:
            await pilot.press("colon")
            app.screen.query_one(Input).value = typed
            await pilot.press("enter")
            await pilot.pause()
            assert isinstance(app.screen, ExpressionLine), "it stays open"
            text, mark, *wrong = str(app.screen.query_one("#wrong", Static).content).split("\n")
            assert text == typed
            assert mark == " " * (caret - 1) + "^"
            assert told in " ".join(wrong)
            await pilot.press("escape")
            await pilot.pause()
            assert app.query_one(Rack).slots == []


@pytest.mark.slow
async def test_what_does_not_steer_stays_on_the_rack(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3")
        app.query_one(ChatPane).add(two)
        await pilot.press("escape", *["left"] * 10, "colon")
        await pilot.pause()
        assert app.screen.query_one(Input).value == "calm", "zero times a vector does not steer"
        await pilot.press("enter")
        await pilot.pause()
        assert [slot.written() for slot in app.query_one(Rack).slots] == ["calm", '0 "avg(a, b)"']


@pytest.mark.slow
async def test_a_library_that_cannot_be_read_is_told_in_the_line(
    library: Library, two: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreadable(*_: object) -> None:
        raise LibraryError("the index is damaged")

    async with opened(library) as (app, pilot, _):
        await pilot.press("f3", "escape", "colon")
        await pilot.pause()
        monkeypatch.setattr(Library, "meant", unreadable)
        await pilot.press(*"calm", "enter")
        await pilot.pause()
        assert "the index is damaged" in str(app.screen.query_one("#wrong", Static).content)


async def test_the_arrows_choose_among_what_is_offered(library: Library, two: tuple[str, ...]) -> None:
    async with opened(library) as (app, pilot, _):
        await pilot.press("f3", "escape", "colon")
        await pilot.pause()
        shown = screen_text(app)
        assert shown.index("calm") < shown.index("avg(a, b)")
        await pilot.press("down", "tab", "enter")
        await pilot.pause()
        assert [slot.written() for slot in app.query_one(Rack).slots] == ['"avg(a, b)"']
