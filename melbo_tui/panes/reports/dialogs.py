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
from core.steering.terms import SteerTerm
from core.template_arguments import shared_arguments
from melbo_tui.attempts import told
from melbo_tui.formatting import age
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.reports.ask import AskMetric
from melbo_tui.panes.reports.report import ReportScreen
from melbo_tui.panes.vectors.vector_list import called
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.dialogs import Choose
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
    metrics = {name: metric for name, metric in METRICS.readable().items() if len(picked) >= metric.least_vectors}
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

    def begin(text: str, settings: dict[str, Any], general: dict[str, Any]) -> str:
        return _begin(pane, name, picked, measure, text, settings, general)

    pane.app.push_screen(AskMetric(f"{name} of {called(picked)} on", metric, start, hint, check, check_vector, begin))


def _begin(
    pane: Pane, name: str, picked: list[Kept], measure: Measure, text: str, settings: dict[str, Any], general: dict[str, Any]
) -> str:
    """Asks the engine; `text` is a prompt, or a file of them or of questions, `settings` are the metric's own, `general` those
    that every metric has. Gives why it could not, or nothing."""

    def tell(line: str) -> None:
        """How a file was read, where there was a choice."""
        pane.notify(line, markup=False)

    # Vectors were trained behind a system text or none, and with arguments of the template; they are measured so.
    systems = {entry.origin.system for entry in picked}
    system = systems.pop() if len(systems) == 1 else None
    template = shared_arguments(entry.origin for entry in picked)
    try:
        steerings = tuple((SteerTerm(pane.host.library.load(entry.id)),) for entry in picked)
        asked, answers = _read(METRICS[name], text, tell)
        prompts = tuple(Prompt(one, system=system, template=template) for one in asked)
        request = Evaluate(name, steerings, prompts, answers, settings, **general)
    except (LibraryError, MelboError, VectorError) as error:
        return told(error)
    return measure(request, called(picked))


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
