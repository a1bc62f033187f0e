from __future__ import annotations

from pathlib import Path

import pytest
from textual.screen import Screen
from textual.widgets import Button, Static

from core.engine.events import Progressed, TaskEnded, TaskPaused, VectorFound
from core.engine.requests import MeasurePrompt, Reply, Train
from melbo_tui.panes.train.facts import depth_line
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.panes.train.results import ResultsTable
from melbo_tui.widgets.field import Field
from tests.completions import generated
from tests.melbo_tui.scripted import SIZES, opened, screen_text, until
from tests.vectors.making import vector
from vectors.store import upkeep
from vectors.store.library import Library


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_from_the_form_to_a_kept_vector(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.query_one("#field-vectors", Field).text = "4"
        app.query_one(TrainForm).start()
        await pilot.pause()
        task, request = engine.last(Train)
        assert (request.vectors, request.radius, request.prompts[0].text) == (4, None, "How can I build a bomb?")
        ids = engine.find(task)
        table = app.query_one(ResultsTable)
        await until(pilot, lambda: table.row_count == 5)
        shown = screen_text(app)
        for words in (
            "bomb-01",
            "[red]Answer",
            "Trained 3 of 4",
            "2/3 no longer refuse, 0 unbroken, 0 (0-56%) on topic; random 0, 0, 0/1 ─",
            "3 s left",
            *(["R 9 (calibrated)"] if size[0] > 100 else []),
        ):
            assert words in shown, shown
        await pilot.press("down", "k")
        await pilot.pause()
        assert [e.id for e in library.entries()] == [ids[1]]
        assert "★" in screen_text(app)
        await pilot.press("k")
        assert library.entries() == []


@pytest.mark.parametrize(
    ("size", "shown"), [((80, 24), "rocketship-01"), pytest.param((104, 30), "rocket…-01", marks=pytest.mark.slow)]
)
async def test_naming_keeps(library: Library, size: tuple[int, int], shown: str) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        ids = engine.find(engine.last(Train)[0])
        await until(pilot, lambda: app.query_one(ResultsTable).row_count == 5)
        await pilot.press("r")
        await pilot.press(*["backspace"] * 10, *"rocketship-01", "enter")
        await pilot.pause()
        assert [(e.id, e.name) for e in library.entries()] == [(ids[0], "rocketship-01")]
        await until(pilot, lambda: f"★  {shown} " in screen_text(app))
        assert "rocketship-01 · refuses" in screen_text(app)


async def test_pause_cancel_and_the_end(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        task, _ = engine.last(Train)
        engine.find(task)
        await pilot.pause()
        await pilot.press("z")
        engine.tell(TaskPaused(task, True))
        await pilot.pause()
        assert engine.paused == [(task, True)]
        assert str(app.query_one("#pause", Button).label) == "Resume"
        assert "paused" in screen_text(app)
        app.query_one(TrainForm).start()
        await pilot.pause()
        assert sum(isinstance(r, Train) for r in engine.requests) == 1, "a second run must not start beside the first"
        await pilot.press("x")
        assert engine.cancelled == [task]
        engine.tell(TaskEnded(task, "cancelled"))
        await pilot.pause()
        assert not app.query_one("#start", Button).disabled
        assert "idle" in screen_text(app)


_WRONG = [
    ("prompt", "   ", "empty"),
    ("radius", "-1", "a number above 0"),
    ("radius", "big", "or auto is needed, not big"),
    ("radius", "nan", "a number above 0"),
    ("vectors", "0", "from 1 to"),
    ("vectors", "1e9", "whole number"),
    ("steps", "-3", "whole number"),
    ("source", "29", "cannot be steered"),
    ("target", "30", "does not exist"),
    ("target", "3", "does not come after"),
    ("tokens", "first:2", "names no tokens"),
    ("seed", "x", "whole number"),
    ("seed", "9" * 30, "the seed must be"),
    ("ratio", "1.5", "above 0 and below 1"),
    ("batch", "0", "a whole number from 1"),
    ("controls", "1001", "from 0 to 1,000"),
    ("sample_tokens", "-1", "from 0 to 100,000"),
    ("thought_tokens", "0", "at least one token"),
    ("init", "/no/such/draws.safetensors", "no such file"),
    ("out", "/no/such/folder/x.safetensors", "folder does not exist"),
]


async def test_wrong_entries_are_told_and_nothing_starts(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        for name, text, words in _WRONG:
            field = app.query_one(f"#field-{name}", Field)
            right, field.text = field.text, text
            await pilot.pause()
            app.query_one(TrainForm).start()
            await pilot.pause()
            assert not any(isinstance(r, Train) for r in engine.requests), (name, text)
            assert words in " ".join(str(app.query_one("#explanation").render()).split()), (name, text)
            field.text = right
            await pilot.pause()
            app.query_one("#explanation", Static).update("")  # what is told next is told of the next


async def test_a_run_waits_for_the_model(library: Library) -> None:
    async with opened(library, loaded=False) as (app, pilot, engine):
        assert "still loading" in screen_text(app)
        app.query_one(TrainForm).start()
        await pilot.pause()
        assert not any(isinstance(r, Train) for r in engine.requests)


async def test_the_prompt_is_measured_when_typing_rests(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one("#field-prompt TextArea").focus()
        await pilot.press(*"Why?")
        await until(pilot, lambda: any(isinstance(r, MeasurePrompt) and "Why?" in r.prompt.text for r in engine.requests))
        assert sum(isinstance(r, MeasurePrompt) for r in engine.requests) <= 2


async def test_a_failed_run_says_what_to_do(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        engine.tell(TaskEnded(engine.last(Train)[0], "failed", "out of [memory]", "train fewer"))
        await pilot.pause(0.2)
        assert "out of [memory]" in screen_text(app)
        assert "train fewer" in screen_text(app)


@pytest.mark.parametrize("size", SIZES)
async def test_why_nothing_was_found_stays_to_be_read(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        engine.tell(TaskEnded(engine.last(Train)[0], "failed", "out of [memory]", "train fewer"))
        await pilot.pause()
        app.clear_notifications()
        await until(pilot, lambda: app.focused is app.query_one("#start"))
        assert "The run stopped: out of [memory]." in screen_text(app)
        assert "train fewer." in screen_text(app)
        await pilot.press("enter")
        await pilot.pause()
        assert sum(isinstance(r, Train) for r in engine.requests) == 2
        assert "The run stopped" not in screen_text(app)


async def test_enter_in_the_prompt_starts_and_ctrl_j_breaks_the_line(library: Library) -> None:
    async with opened(library) as (_app, pilot, engine):
        await pilot.press("ctrl+j", *"Why", "enter")
        await pilot.pause()
        assert engine.last(Train)[1].prompts[0].text == "How can I build a bomb?\nWhy"


@pytest.mark.parametrize("size", SIZES)
async def test_escape_leaves_the_form_for_the_list(library: Library, size: tuple[int, int]) -> None:
    async with opened(library, size) as (app, pilot, _engine):
        footer = next(line for line in reversed(screen_text(app).splitlines()) if line.strip())
        assert "Start" in footer
        assert "Leave" in footer
        await pilot.press("escape", "question_mark")  # no run yet: keys are keys again, and this one is for help
        await pilot.pause()
        assert app.screen.is_modal
        await pilot.press("escape")
        app.query_one(TrainForm).start()
        await pilot.press("n", "escape")
        await pilot.pause()
        assert app.focused is app.query_one(ResultsTable)
        assert app.query_one(TrainForm).display == (size[0] >= 100)


@pytest.mark.slow
async def test_a_family_wants_a_base_that_is_there(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one("#field-method", Field).text = "ortho"
        await until(pilot, lambda: app.query("#field-base"))
        base = app.query_one("#field-base", Field)
        for text, words in (("nobody-01", "no vector is called nobody-01"), ("", "needs its base vector")):
            base.text = text
            await pilot.pause()
            app.query_one(TrainForm).start()
            await pilot.pause()
            assert words in " ".join(str(app.query_one("#explanation").render()).split())
            assert base.has_class("-wrong")
            assert base.has_focus_within
        assert not any(isinstance(r, Train) for r in engine.requests)
        base.text, app.query_one("#field-norm_penalty", Field).text = "nobody-01", "much"
        app.query_one("#field-method", Field).text = "melbo"
        await pilot.pause()
        app.query_one(TrainForm).start()
        await pilot.pause()
        assert engine.last(Train)[1].method == "melbo", "a field that the method does not have keeps nothing from starting"


async def test_hearing_more(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        engine.find(engine.last(Train)[0])
        await until(pilot, lambda: app.query_one(ResultsTable).row_count == 5)
        await pilot.press("down", "space")
        await pilot.pause()
        _, request = engine.last(Reply)
        assert request.rows[0].steering[0].vector.name == "bomb-02"
        assert request.rows[0].messages == (("user", "How can I build a bomb?"),)
        engine.tell(TaskEnded(engine.last(Train)[0], "done"))
        await pilot.pause()
        await pilot.press("x")
        assert engine.cancelled == [engine.last(Reply)[0]]


async def test_a_vector_that_has_gone_for_good(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        (first, *_) = engine.find(engine.last(Train)[0])
        await until(pilot, lambda: app.query_one(ResultsTable).row_count == 5)
        library.delete([first])
        upkeep.empty_trash(library)
        for key in ("k", "r", "f", "space"):
            await pilot.press(key)
            await until(pilot, lambda: "there is no vector with the id" in " ".join(screen_text(app).split()))
            app.clear_notifications()
            await pilot.pause()


async def test_the_drawer_folds_at_eighty_columns(library: Library) -> None:
    async with opened(library, (80, 24)) as (app, pilot, _engine):
        form, results = app.query_one(TrainForm), app.query_one("#results")
        assert form.display
        assert form.region.width > 70
        app.query_one(TrainForm).start()
        await pilot.pause()
        assert form.region.width == 0 or not form.is_on_screen
        assert results.region.width > 70
        await pilot.press("n")
        await pilot.pause()
        assert form.is_on_screen
        await pilot.press(*"Why?")
        assert app.query_one("#field-prompt", Field).text == "Why?"


async def test_plots_go_round(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        engine.find(engine.last(Train)[0])
        await pilot.pause()
        for title in ("KL to unsteered", "Gradient", "Nonlinearity", "Norm"):
            await pilot.press("p")
            await pilot.pause()
            assert title in screen_text(app)


async def test_what_was_asked_is_remembered(library: Library) -> None:
    async with opened(library) as (app, pilot, _):
        app.query_one("#field-prompt", Field).text = "What is love?"
        app.query_one("#field-radius", Field).text = "3.5"
        app.query_one(TrainForm).start()
        await pilot.pause()
    async with opened(library) as (app, _, _):
        assert app.query_one("#field-prompt", Field).text == "What is love?"
        assert app.query_one("#field-radius", Field).text == "3.5"


def test_depth_line() -> None:
    assert depth_line(30, 7, 21, 20) == "╌╌╌╌╌●━━━━━━━━●╌╌╌╌╌"
    assert depth_line(2, 0, 1, 10)[0] == depth_line(2, 0, 1, 10)[-1] == "●"
    assert len(depth_line(1000, 998, 999, 10)) <= 11


async def test_the_hundredth_vector_stands_behind_the_ninety_ninth(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        task, _ = engine.last(Train)
        engine.tell(generated(task, "unsteered", "words", 1, True))
        for i in range(120):
            engine.tell(VectorFound(task, i, f"r/{i}", f"v-{i + 1:02d}", 1.0, 9.0))
        table = app.query_one(ResultsTable)
        await until(pilot, lambda: table.row_count == 121)
        keys = [str(row.key.value) for row in table.ordered_rows]
        assert keys == [*(str(i) for i in range(120)), "unsteered"]


async def test_a_contrast_and_a_family_have_fields_of_their_own(library: Library, tmp_path: Path) -> None:
    (tmp_path / "harmless.csv").write_text("goal,target\nHow do I bake?,x\nHow do I swim?,y\n")
    async with opened(library) as (app, pilot, engine):
        form = app.query_one(TrainForm)
        form.fill({"method": "contrast"})
        await pilot.pause()
        form.start()
        await pilot.pause()
        explained = app.query_one("#explanation", Static)
        assert "needs positive and negative prompts" in str(explained.content)
        assert not app.query_one("#field-vectors", Field).display
        form.fill({"positive": "How do I hurt?\n\nHow do I steal?", "negative": str(tmp_path / "no.csv"), "select": "yes"})
        form.start()
        await pilot.pause()
        assert "there is no such file" in str(explained.content)
        form.fill({"negative": str(tmp_path / "harmless.csv")})
        form.start()
        await pilot.pause()
        task, request = engine.last(Train)
        assert request.settings == {
            "positive": ["How do I hurt?", "How do I steal?"],
            "negative": ["How do I bake?", "How do I swim?"],
            "select": True,
        }
        assert request.count == 1
        engine.tell(TaskEnded(task, "done"))
        library.add([vector(name="bomb-01")])
        form.train_family("bomb-01")
        form.fill({"norm_penalty": "-1"})
        form.start()
        await pilot.pause()
        assert "a number of at least 0 or auto is needed, not -1" in str(explained.content)
        form.fill({"norm_penalty": "0.3"})
        form.start()
        await pilot.pause()
        assert engine.last(Train)[1].settings == {"base": "bomb-01", "norm_penalty": 0.3}


async def test_a_run_that_tells_of_itself_does_not_lay_the_screen_out_anew(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(library) as (app, pilot, engine):
        app.query_one(TrainForm).start()
        await pilot.pause()
        task, _ = engine.last(Train)
        engine.find(task)
        await until(pilot, lambda: app.query_one(ResultsTable).row_count == 5)
        laid_out: list[object] = []
        plain = Screen._refresh_layout
        monkeypatch.setattr(Screen, "_refresh_layout", lambda *args, **kw: laid_out.append(args) or plain(*args, **kw))
        for tokens in range(1, 21):
            for i in range(3):
                engine.tell(generated(task, str(i), f"answer {i}, word {tokens}", tokens, False))
            engine.tell(Progressed(task, "listening", tokens / 10, 4, 1.2, 3.0))
            await pilot.pause()
        assert len(laid_out) <= 2
        await until(pilot, lambda: "answer 2, word 20" in screen_text(app))
        assert "2 of 4" in screen_text(app)
