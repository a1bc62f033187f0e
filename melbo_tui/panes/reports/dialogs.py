"""What is measured, asked for: a metric or an earlier report, then the prompts to measure on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from core.engine.evaluation_requests import Evaluate
from core.errors import MelboError, SettingsError
from core.evaluation import METRICS
from core.evaluation.metric import Metric
from core.files.text_files import questions_of
from core.prompt import Prompt
from core.steering.resolving import loaded
from core.template_arguments import shared_arguments
from melbo_tui.attempts import told
from melbo_tui.formatting import age
from melbo_tui.panes import expressions
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.reports.ask import AskMetric
from melbo_tui.panes.reports.conditions import Conditions
from melbo_tui.panes.reports.report import ReportScreen
from melbo_tui.panes.vectors.vector_list import called
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.dialogs import Choose
from vectors.expression import Expression, Term
from vectors.plain_text import one_line
from vectors.store.index import LibraryError
from vectors.store.library import Kept
from vectors.store.reports import Report, Reports, whom
from vectors.vector import VectorError

_REPORTS = 12
# Asks the engine, for vectors called so; gives why it cannot be asked, or nothing.
Measure = Callable[[Evaluate, str], str]
_QUESTIONS = "A file of questions: .txt or .tsv of question<TAB>answer|another right one, .csv, .json or .jsonl."


def choose_metric(pane: Pane, picked: list[Kept], measure: Measure) -> None:
    """Asks which metric of `picked` is to be measured, by `measure`, or which earlier report is to be seen."""
    reports: list[tuple[str, Report]] = []
    pane.attempt(lambda: reports.extend(Reports(pane.host.library.folder).listed(_REPORTS)))
    names: list[str] = []
    pane.attempt(lambda: names.extend(pane.host.library.all_names()))
    # Conditions can be typed, where there is a vector to name.
    metrics = {name: metric for name, metric in METRICS.readable().items() if names or not metric.least_vectors}
    options = [(name, f"{name:<11}{metric.summary}") for name, metric in metrics.items()]
    options += [(f"report {id}", f"shown again: {_told(report)}") for id, report in reports]
    kept = dict(reports)

    def done(key: str | None) -> None:
        if key is None:
            return
        if key in METRICS:
            if pane.model_is_there():
                _ask(pane, key, METRICS[key], picked, measure)
        else:
            id = key.removeprefix("report ")
            pane.app.push_screen(ReportScreen(kept[id], pane.host.library, id))

    pane.app.push_screen(Choose(f"Measure {called(picked)}", options), done)


def _ask(pane: Pane, name: str, metric: Metric, picked: list[Kept], measure: Measure) -> None:
    """Asks what to measure on, then begins."""
    trained = next((entry.prompt for entry in picked if entry.prompt and not entry.prompt.startswith("token ids ")), "")
    start, hint = ("", _QUESTIONS) if metric.questions else (trained or pane.host.settings.prompt, f"A prompt, or {FILES}.")

    def check(text: str) -> None:
        if not text.strip():
            raise SettingsError("type something, or press Esc")
        _read(metric, text)

    def check_vector(name: str) -> None:
        try:
            pane.host.library.find(name.strip(), pane.host.model.label if pane.host.model else None)
        except LibraryError as error:
            raise SettingsError(str(error)) from None

    def begin(conditions: list[Expression], text: str, settings: dict[str, Any], general: dict[str, Any]) -> str:
        return _begin(pane, name, conditions, measure, text, settings, general)

    def ask(expression: Expression, done: Callable[[Expression | None], None]) -> None:
        def accepted(text: str) -> None:
            done(expressions.typed(pane.host, text)[0] if text else None)

        expressions.ask(pane, f"{name} of what?", "takes it", expression, accepted)

    marked = [Expression((Term(entry.name, id=entry.id),)) for entry in picked]
    conditions = Conditions(marked, lambda one: expressions.shown(pane.host, one), ask)
    title = f"{name} of {called(picked)}"
    starts = {"judge": one_line(pane.host.settings.judge)}
    pane.app.push_screen(AskMetric(title, metric, conditions, start, hint, check, check_vector, begin, starts))


def _begin(
    pane: Pane,
    name: str,
    conditions: list[Expression],
    measure: Measure,
    text: str,
    settings: dict[str, Any],
    general: dict[str, Any],
) -> str:
    """Asks the engine for `conditions`; `text` is a prompt, or a file of them or of questions, `settings` are the metric's own,
    `general` those that every metric has. Gives why it could not, or nothing."""

    def tell(line: str) -> None:
        """How a file was read, where there was a choice."""
        pane.notify(line, markup=False)

    if len(conditions) < METRICS[name].least_vectors:
        return f"{name} compares {METRICS[name].least_vectors} conditions or more: type one under Conditions"
    try:
        steerings = tuple(loaded(expression, pane.host.library) for expression in conditions)
        # Vectors were trained behind a system text or none, and with arguments of the template; they are measured so.
        origins = [term.vector.origin for steering in steerings for term in steering]
        systems = {origin.system for origin in origins}
        system = systems.pop() if len(systems) == 1 else None
        template = shared_arguments(origins)
        asked, answers = _read(METRICS[name], text, tell)
        prompts = tuple(Prompt(one, system=system, template=template) for one in asked)
        request = Evaluate(name, steerings, prompts, answers, settings, **general)
    except (LibraryError, MelboError, VectorError) as error:
        return told(error)
    return measure(request, _whom(pane, conditions))


def _whom(pane: Pane, conditions: list[Expression]) -> str:
    """What a message calls them."""
    if not conditions:
        return called([])
    return expressions.shown(pane.host, conditions[0]) if len(conditions) == 1 else f"{len(conditions)} conditions"


def _read(
    metric: Metric, text: str, tell: Callable[[str], object] = lambda line: None
) -> tuple[list[str], tuple[tuple[str, ...], ...]]:
    """The prompts that `text` names, and the right answers to them where they are questions. Raises SettingsError."""
    if not metric.questions:
        return typed_prompts(text, tell), ()
    try:
        questions = questions_of(text, tell)
    except (MelboError, VectorError, LibraryError) as error:
        raise SettingsError(str(error), getattr(error, "remedy", "")) from None
    return [question for question, _ in questions], tuple(right for _, right in questions)


def _told(report: Report) -> str:
    when = age(report.created)
    when = "just now" if when == "now" else f"{when} ago"
    return f"{report.metric} of {whom(report.vectors)}, {when}" + ("" if report.complete else ", stopped")
