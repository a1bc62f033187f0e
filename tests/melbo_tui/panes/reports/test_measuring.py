"""Measuring vectors in the app: choosing a metric, its prompts, and the report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.widgets import Input

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Progressed, Reported, TaskEnded, Warned
from core.engine.requests import Train
from melbo_tui.panes.chat.rack import Rack
from melbo_tui.panes.reports import plot as report_plot
from melbo_tui.panes.reports.ask import AskMetric
from melbo_tui.panes.reports.conditions import Conditions
from melbo_tui.panes.reports.report import ReportScreen
from melbo_tui.widgets.expression_line import ExpressionLine
from tests.melbo_tui.scripted import SIZES, STAMP, ScriptedEngine, opened, screen_text, until
from tests.vectors.making import vector
from vectors.expression import KeptTerm
from vectors.store.library import Library
from vectors.store.reports import Column, Plot, Report, Reports, Table

LONG = "It says so much that no column of a table holds all of it, [b]markup[/b] included, up to its end"


def _report(complete: bool = False, rows: int = 2) -> Report:
    columns = (Column("vector"), Column("KL", ".2f"), Column("completion"))
    first = Table("By dose", columns, tuple((f"bomb-{i:02d}", i / 3, LONG) for i in range(rows)))
    second = Table("By prompt", (Column("prompt"),), (("How can I [red]bake[/red]?",),))
    return Report(
        "sweep", (first, second), ("bomb-01: the text holds.",), "smollm2", ("bomb-01",), ("How?",), complete=complete
    )


@pytest.fixture
def stocked(library: Library) -> Library:
    library.add([vector(i, f"bomb-{i + 1:02d}", 7, stamp=STAMP) for i in range(3)])
    return library


async def _choose(pilot, words: str, shown: str = "bomb-01") -> None:  # type: ignore[no-untyped-def]
    """What `words` name of the dialog behind `n`, in the library, once that shows `shown`."""
    await pilot.press("f2")
    await until(pilot, lambda: shown in screen_text(pilot.app))
    await pilot.press("n", *words, "enter")


async def _asked(pilot, engine: ScriptedEngine, metric: str, *answers: str) -> int:  # type: ignore[no-untyped-def]
    """Asks for `metric` of what is picked, by the keys a user presses; gives its task."""
    await _choose(pilot, metric)
    for answer in answers:
        await until(pilot, lambda: isinstance(pilot.app.focused, Input) and "on" in screen_text(pilot.app))
        pilot.app.focused.value = answer
        await pilot.press("enter")
    await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))
    return engine.last(Evaluate)[0]


@pytest.mark.parametrize("size", SIZES)
async def test_a_report_fills_and_is_read(stocked: Library, size: tuple[int, int]) -> None:
    async with opened(stocked, size) as (app, pilot, engine):
        task = await _asked(pilot, engine, "sweep", "Why?")
        request = engine.last(Evaluate)[1]
        assert (request.metric, request.prompts[0].text, len(request.vectors)) == ("sweep", "Why?", 1)
        engine.tell(Reported(task, "one", _report(rows=1)))
        engine.tell(Progressed(task, "sweep", 0.25, 1, None, 65))
        await until(pilot, lambda: "25%, 1 min 5 s left, x stops it" in screen_text(app))
        assert "By dose" in screen_text(app)
        engine.tell(Reported(task, "one", _report(True, 3)))
        engine.tell(TaskEnded(task, "done"))
        await until(pilot, lambda: "x stops it" not in screen_text(app) and "bomb-02" in screen_text(app))
        await pilot.press("down", "down")
        await until(pilot, lambda: "vector bomb-02 · KL 0.67" in screen_text(app))
        shown = " ".join(screen_text(app).replace("│", " ").split())
        assert LONG in shown
        assert "bomb-01: the text holds." in shown
        assert "By prompt" in shown
        await pilot.press("tab")
        await until(pilot, lambda: "How can I [red]bake[/red]?" in screen_text(app))
        await pilot.press("escape")
        await until(pilot, lambda: not isinstance(app.screen, ReportScreen))


@pytest.mark.slow
async def test_it_is_stopped_by_x_or_goes_on_unseen(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        task = await _asked(pilot, engine, "sweep", "Why?")
        engine.tell(Reported(task, "one", _report()))
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))
        await pilot.press("x")
        assert engine.cancelled == [task]
        engine.tell(TaskEnded(task, "cancelled"))
        await until(pilot, lambda: "stopped early" in screen_text(app))
        await pilot.press("escape")
        again = await _asked(pilot, engine, "kl", "Why?")
        await pilot.press("f1")
        engine.tell(Reported(again, "two", _report()))
        await pilot.pause()
        assert not isinstance(app.screen, ReportScreen), "who is elsewhere keeps their screen"
        engine.tell(TaskEnded(again, "done"))
        await until(pilot, lambda: "kl is done: its report stands first" in screen_text(app))


async def test_esc_in_the_list_stops_what_is_measured(stocked: Library) -> None:
    async with opened(stocked) as (_, pilot, engine):
        task = await _asked(pilot, engine, "norms", "Why?")
        await pilot.press("escape")
        assert engine.cancelled == [task]


@pytest.mark.slow
async def test_files_of_prompts_and_questions(stocked: Library, tmp_path: Path) -> None:
    prompts, questions = tmp_path / "p.txt", tmp_path / "q.tsv"
    prompts.write_text("One?\nTwo?\n")
    questions.write_text("Big?\tsmall|little\n")
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("x", "x")
        await _choose(pilot, "presence")
        await until(pilot, lambda: "Against" in screen_text(app))
        app.focused.value = str(prompts)  # type: ignore[union-attr]
        await pilot.press("tab", *"Say hello.", "tab", "down", "down", "down", "enter", "shift+tab", "shift+tab", "enter")
        await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))
        request = engine.last(Evaluate)[1]
        assert [prompt.text for prompt in request.prompts] == ["One?", "Two?"]
        assert request.settings == {"against": ["Say hello."], "at": "max"}
        assert len(request.vectors) == 2
        engine.requests.clear()
        engine.handles.clear()
        await _asked(pilot, engine, "accuracy", str(questions))
        request = engine.last(Evaluate)[1]
        assert (request.prompts[0].text, request.answers) == ("Big?", (("small", "little"),))


async def test_a_file_without_questions_is_told_at_once(stocked: Library, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("no answer\n")
    async with opened(stocked) as (app, pilot, engine):
        await _choose(pilot, "accuracy")
        await until(pilot, lambda: "A file of questions" in screen_text(app))
        app.focused.value = str(tmp_path / "q.tsv")  # type: ignore[union-attr]
        await pilot.press("enter")
        await until(pilot, lambda: "does not hold questions" in " ".join(screen_text(app).split()))
        assert not any(isinstance(r, Evaluate) for r in engine.requests)


@pytest.mark.slow
async def test_a_file_that_is_not_there_is_no_prompt(stocked: Library, tmp_path: Path) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await _choose(pilot, "sweep")
        await until(pilot, lambda: "sweep of bomb-01" in screen_text(app))
        for path in (str(tmp_path / "none"), "prompts.txt"):
            app.focused.value = path  # type: ignore[union-attr]
            await pilot.press("enter")
            await until(pilot, lambda: "there is no such file" in screen_text(app))
        assert not any(isinstance(r, Evaluate) for r in engine.requests)


@pytest.mark.slow
async def test_earlier_reports_are_shown_again_also_without_a_model(stocked: Library) -> None:
    Reports(stocked.folder).save("one", _report(True))
    async with opened(stocked, loaded=False) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: "shown again: sweep of bomb-01" in screen_text(app))
        await pilot.press(*"again", "enter")
        await until(pilot, lambda: isinstance(app.screen, ReportScreen) and "bomb-01: the text holds." in screen_text(app))
        await pilot.press("q", "n", *"sweep", "enter")
        await until(pilot, lambda: "not loaded yet" in screen_text(app))
        assert not any(isinstance(r, Evaluate) for r in engine.requests)


async def test_what_fails_says_so(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        task = await _asked(pilot, engine, "kl", "Why?")
        engine.tell(Warned(task, "no KL to [b]the base"))
        await until(pilot, lambda: "no KL to [b]the base" in " ".join(screen_text(app).split()))
        engine.tell(TaskEnded(task, "failed", "memory [red]ran out", "measure fewer"))
        await until(pilot, lambda: "memory [red]ran out. measure fewer" in " ".join(screen_text(app).split()))


async def test_an_empty_library_measures_the_model_itself(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        await pilot.press("f2", "n")
        await until(pilot, lambda: "Measure the model" in screen_text(app))
        assert "survey" not in screen_text(app)
        await pilot.press("enter")
        await until(pilot, lambda: "norms of the model" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))


def _sweep() -> Table:
    columns = (Column("vector"), Column("times", "g"), Column("KL", ".2f"))
    rows = (("unsteered", None, None), ("a", 1, 0.5), ("a", -1, 0.25), ("b", 1, 2.0), ("random", 1, 0.1), ("random-01", 1, 0.3))
    return Table("By dose", columns, rows, (Plot("KL", "times", "vector"), Plot("KL")))


_COLORS = {"main": (1, 0, 0), "other": (0, 1, 0), "faint": (0, 0, 1)}


def test_a_line_a_vector_the_one_under_the_cursor_on_top() -> None:
    lines = report_plot.series(_sweep().plots[0], _sweep(), 1, _COLORS)
    assert [(list(line.xs), list(line.ys)) for line in lines if line.xs] == [
        ([1], [2.0]), ([1], [0.3]), ([1], [0.1]), ([-1, 1], [0.25, 0.5]),
    ]  # fmt: skip
    assert [line.color for line in lines if line.xs] == [_COLORS[name] for name in ("faint", "faint", "other", "main")]
    assert report_plot.title(_sweep().plots[0], _sweep(), 1) == "KL by times · bright: a, coloured: random"


def test_a_dot_a_row_and_the_mean_of_random_ones_as_a_line() -> None:
    line, dots, here = report_plot.series(_sweep().plots[1], _sweep(), 3, _COLORS)
    assert (list(line.xs), list(line.ys)) == ([1, 6], [0.1, 0.1])
    assert (list(dots.xs), list(dots.ys)) == ([2, 3, 4, 6], [0.5, 0.25, 2.0, 0.3])
    assert (list(here.xs), list(here.ys)) == ([4], [2.0])


@pytest.mark.slow
async def test_plots_take_turns(stocked: Library) -> None:
    Reports(stocked.folder).save("one", Report("sweep", (_sweep(),), (), "m", ("a", "b"), ("How?",), {}, 1.0, True))
    async with opened(stocked, loaded=False) as (app, pilot, _):
        await _choose(pilot, "again")
        await until(pilot, lambda: "KL by times" in screen_text(app))
        assert "bright" not in screen_text(app), "the unsteered model has no KL"
        await pilot.press("down")
        await until(pilot, lambda: "KL by times · bright: a" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "KL · bright: a" in screen_text(app))
        await pilot.press("p")
        await until(pilot, lambda: "bright" not in screen_text(app))
        await pilot.resize_terminal(80, 24)
        await pilot.press("p")
        # There the plot takes the room of what stands below the table.
        await until(pilot, lambda: "KL by times · bright: a" in screen_text(app) and "vector a · " not in screen_text(app))
        await pilot.press("p", "p")
        await until(pilot, lambda: "bright" not in screen_text(app) and "vector a · times 1" in screen_text(app))


async def test_a_run_is_measured_where_it_was_found(library: Library) -> None:
    async with opened(library) as (app, pilot, engine):
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(r, Train) for r in engine.requests))
        engine.find(engine.last(Train)[0])
        await until(pilot, lambda: "bomb-03" in screen_text(app))
        await pilot.press("m")
        await until(pilot, lambda: "Measure 3 vectors" in screen_text(app))
        await pilot.press(*"behaviours", "enter")
        await until(pilot, lambda: "behaviours of 3 vectors ─" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))
        task, request = engine.last(Evaluate)
        assert [one.name for one in request.vectors] == ["bomb-01", "bomb-02", "bomb-03"]
        engine.tell(Reported(task, "one", _report()))
        await until(pilot, lambda: isinstance(app.screen, ReportScreen))


@pytest.mark.slow
async def test_a_row_s_vector_is_kept_and_taken_to_the_chat(stocked: Library) -> None:
    (entry,) = stocked.meant("bomb-02")
    stocked.keep([entry.id], False)
    table = Table("By vector", (Column("vector"), Column("KL", ".2f")), (("random 1", 0.1), ("bomb-02", 2.0)))
    Reports(stocked.folder).save(
        "one", Report("kl", (table,), (), "m", ("bomb-02",), ("How?",), complete=True, ids=(entry.id,))
    )
    async with opened(stocked) as (app, pilot, _):
        await _choose(pilot, "again")
        await until(pilot, lambda: "random 1" in screen_text(app))
        await pilot.press("k")
        await until(pilot, lambda: "has no vector of the library" in screen_text(app))
        await pilot.press("down", "k")
        await until(pilot, lambda: "bomb-02 is kept" in screen_text(app))
        assert stocked.get(entry.id).kept
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, ReportScreen) and app.query_one(Rack).is_on_screen)
        assert [slot.vector.id for slot in app.query_one(Rack).slots] == [entry.id]


async def test_a_row_s_expression_is_taken_to_the_chat(stocked: Library) -> None:
    one, two = (stocked.meant(name)[0].id for name in ("bomb-01", "bomb-02"))
    table = Table("By vector", (Column("vector"), Column("KL", ".2f")), (("bomb-01 - 2 !bomb-02", 2.0),))
    terms = (KeptTerm(one, "bomb-01"), KeptTerm(two, "bomb-02", -2.0, "ablate", blocks="all"))
    report = Report("kl", (table,), (), "m", ("bomb-01 - 2 !bomb-02",), ("How?",), complete=True, ids=("",), steerings=(terms,))
    Reports(stocked.folder).save("one", report)
    async with opened(stocked) as (app, pilot, _):
        await _choose(pilot, "again")
        await until(pilot, lambda: "bomb-01 - 2" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, ReportScreen) and app.query_one(Rack).is_on_screen)
        assert [slot.written() for slot in app.query_one(Rack).slots] == ["bomb-01", "-2 !bomb-02@blocks:all"]


@pytest.mark.slow
async def test_a_row_s_coefficient_is_taken_to_the_chat(stocked: Library) -> None:
    (entry,) = stocked.meant("bomb-01")
    table = Table("By vector", (Column("vector"), Column("KL", ".2f")), (("2 bomb-01", 2.0),))
    terms = (KeptTerm(entry.id, "bomb-01", 2.0),)
    report = Report("kl", (table,), (), "m", ("2 bomb-01",), ("How?",), complete=True, ids=(entry.id,), steerings=(terms,))
    Reports(stocked.folder).save("one", report)
    async with opened(stocked) as (app, pilot, _):
        await _choose(pilot, "again")
        await until(pilot, lambda: "2 bomb-01" in screen_text(app))
        await pilot.press("c")
        await until(pilot, lambda: not isinstance(app.screen, ReportScreen) and app.query_one(Rack).is_on_screen)
        assert [slot.written() for slot in app.query_one(Rack).slots] == ["2 bomb-01"]


async def test_vectors_trained_behind_a_system_text_are_measured_behind_it(library: Library) -> None:
    formal = vector(0, "formal", 7, stamp=STAMP)
    library.add([replace(formal, origin=replace(formal.origin, system="You are formal."))])
    async with opened(library) as (app, pilot, engine):
        await _choose(pilot, "sweep", "formal")
        await until(pilot, lambda: "sweep of formal" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))
        assert engine.last(Evaluate)[1].prompts[0].system == "You are formal."


async def test_conditions_are_typed_as_expressions(stocked: Library) -> None:
    """What was marked stands there as expressions; one is changed, one typed, one left out, and what is wrong is told."""
    ids = {entry.name: entry.id for entry in stocked.entries()}
    async with opened(stocked) as (app, pilot, engine):
        await pilot.press("f2")
        await until(pilot, lambda: "bomb-01" in screen_text(app))
        await pilot.press("x", "x")
        await _choose(pilot, "sweep")
        await until(pilot, lambda: isinstance(app.screen, AskMetric))
        conditions = app.screen.query_one(Conditions)
        assert [str(one) for one in conditions.expressions] == ["bomb-01", "bomb-02"]
        await pilot.press("shift+tab", "up", "up", "enter")
        await until(pilot, lambda: isinstance(app.screen, ExpressionLine))
        await pilot.press(*"@generatd", "enter")
        await until(pilot, lambda: "did you mean @generated?" in screen_text(app))
        await pilot.press("backspace", *"ed - 2 !bomb-03", "enter")
        await until(pilot, lambda: isinstance(app.screen, AskMetric))
        await pilot.press("plus", *"0.5 bom", "tab", "enter")
        await until(pilot, lambda: len(conditions.expressions) == 3)
        await pilot.press("up", "up", "delete")
        assert [str(one) for one in conditions.expressions] == ["bomb-01@generated - 2 !bomb-03", "0.5 bomb-01"]
        assert "bomb-01@generated - 2 !bomb-03" in screen_text(app)
        await pilot.press("tab", "enter")
        await until(pilot, lambda: any(isinstance(r, Evaluate) for r in engine.requests))
        first, second = engine.last(Evaluate)[1].steerings
        assert [(term.vector.id, term.coefficient, term.operation) for term in (*first, *second)] == [
            (ids["bomb-01"], 1, "add"),
            (ids["bomb-03"], -2, "ablate"),
            (ids["bomb-01"], 0.5, "add"),
        ]


@pytest.mark.slow
async def test_without_a_condition_is_told(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        await _choose(pilot, "kl")
        await until(pilot, lambda: isinstance(app.screen, AskMetric))
        await pilot.press("shift+tab", "up", "delete", "tab", "enter")
        await until(pilot, lambda: "type one under Conditions" in " ".join(screen_text(app).split()))
        assert not any(isinstance(r, Evaluate) for r in engine.requests)


@pytest.mark.parametrize("size", SIZES)
async def test_the_judge_of_the_settings_stands_in_the_dialog(stocked: Library, size: tuple[int, int]) -> None:
    async with opened(stocked, size) as (app, pilot, engine):
        (ask,) = [one.callback for one in app.get_system_commands(app.screen) if one.title == "Judge of completions"]
        ask()
        await until(pilot, lambda: "Who reads completions beside the marks" in screen_text(app))
        app.screen.query_one(Input).value = "http://localhost:1/v1?key=hush#tiny"
        await pilot.press("enter")
        await until(pilot, lambda: "MELBO_TUI_JUDGE_KEY" in screen_text(app))
        app.screen.query_one(Input).value = "http://localhost:1/v1#tiny"
        await pilot.press("enter")
        await until(pilot, lambda: app.settings.judge == "http://localhost:1/v1#tiny")
        await until(pilot, lambda: any("endpoint: tiny at localhost:1" in one.message for one in app._notifications))
        await _choose(pilot, "survey")
        await until(pilot, lambda: isinstance(app.screen, AskMetric))
        await until(pilot, lambda: "http://localhost:1/v1#tiny" in screen_text(app))
        await pilot.press("tab")
        await until(pilot, lambda: "Endpoint: tiny at localhost:1" in screen_text(app))
        judge = app.screen.query_one("#field-judge Input", Input)
        judge.value = "http://localhost:1/v1"
        await pilot.press("enter")
        await until(pilot, lambda: "names no model" in screen_text(app))
        judge.value = "cat"
        await until(pilot, lambda: "Command: cat" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(one, Evaluate) for one in engine.requests))
        assert engine.last(Evaluate)[1].settings == {"judge": "cat"}
        assert app.settings.judge == "http://localhost:1/v1#tiny"


@pytest.mark.slow
async def test_without_a_judge_nobody_is_asked(stocked: Library) -> None:
    async with opened(stocked) as (app, pilot, engine):
        app.remember(judge="cat")
        await _choose(pilot, "behaviours")
        await until(pilot, lambda: isinstance(app.screen, AskMetric))
        app.screen.query_one("#field-judge Input", Input).value = ""
        await pilot.press("enter")
        await until(pilot, lambda: any(isinstance(one, Evaluate) for one in engine.requests))
        assert engine.last(Evaluate)[1].settings == {}
