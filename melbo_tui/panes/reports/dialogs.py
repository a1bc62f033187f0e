"""What is measured, asked for: a metric or an earlier report, then the prompts to measure on."""

from __future__ import annotations

from core.engine.evaluation_requests import Evaluate
from core.errors import MelboError
from core.evaluation import METRICS
from core.evaluation.metric import Metric
from core.files.text_files import questions_of
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from core.template_arguments import shared_arguments
from melbo_tui.attempts import told
from melbo_tui.formatting import age
from melbo_tui.panes.reports.measuring import Measuring
from melbo_tui.panes.reports.report import ReportScreen
from melbo_tui.panes.vectors.vector_list import called
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.dialogs import Ask, Choose
from vectors.store.index import LibraryError
from vectors.store.library import Kept
from vectors.store.reports import Report, Reports, whom
from vectors.vector import VectorError

_REPORTS = 12


def choose_metric(pane: Measuring, picked: list[Kept]) -> None:
    """Asks which metric of `picked` the engine is to measure, or which earlier report is to be seen."""
    reports: list[tuple[str, Report]] = []
    pane.attempt(lambda: reports.extend(Reports(pane.melbo.library.folder).listed(_REPORTS)))
    metrics = {name: metric for name, metric in METRICS.items() if len(picked) >= metric.least_vectors}
    options = [(name, f"{name:<11}{metric.summary}") for name, metric in metrics.items()]
    options += [(f"report {id}", f"shown again: {_told(report)}") for id, report in reports]
    kept = dict(reports)

    def done(key: str | None) -> None:
        if key is None:
            return
        if key in METRICS:
            if pane.model_is_there():
                _ask(pane, key, METRICS[key], picked)
        else:
            id = key.removeprefix("report ")
            pane.app.push_screen(ReportScreen(kept[id], id))

    pane.app.push_screen(Choose(f"Measure {called(picked)}", options), done)


def _ask(pane: Measuring, name: str, metric: Metric, picked: list[Kept]) -> None:
    """Asks what to measure on, then begins."""
    trained = next((entry.prompt for entry in picked if entry.prompt and not entry.prompt.startswith("token ids ")), "")
    start, hint, wrong = (
        trained or pane.melbo.settings.prompt,
        f"A prompt, or {FILES}.",
        _wrong_prompts,
    )
    if metric.questions:
        start, wrong = "", _wrong_questions
        hint = "A file of questions: .txt or .tsv of question<TAB>answer|another right one, .csv, .json or .jsonl."
    on = f"{name} of {called(picked)} on"
    if name != "presence":
        begin = lambda text: _begin(pane, name, picked, text)  # noqa: E731
        pane.app.push_screen(Ask(on, start, f"{metric.about}\n\n{hint}", wrong, begin))
        return

    def against(text: str | None) -> None:
        if text is not None:
            others = f"Prompts of another kind, to be told apart from those: a prompt, or {FILES}."
            begin = lambda other: _begin(pane, name, picked, text, other)  # noqa: E731
            pane.app.push_screen(Ask("presence, against", "", others, _wrong_prompts, begin))

    pane.app.push_screen(Ask(on, start, f"{metric.about}\n\n{hint}", wrong), against)


def _begin(pane: Measuring, name: str, picked: list[Kept], text: str, against: str | None = None) -> str:
    """Asks the engine; `text` and `against` are prompts, or files of them. Gives why it could not, or nothing."""

    def tell(line: str) -> None:
        """How a file was read, where there was a choice."""
        pane.notify(line, markup=False)

    # Vectors were found behind a system text or none, and with arguments of the template; they are measured so.
    systems = {entry.origin.system for entry in picked}
    system = systems.pop() if len(systems) == 1 else None
    template = shared_arguments(entry.origin for entry in picked)
    try:
        terms = tuple(SteerTerm(pane.melbo.library.load(entry.id)) for entry in picked)
        questions = questions_of(text, tell) if METRICS[name].questions else []
        asked = [question for question, _ in questions] or typed_prompts(text, tell)
        answers = tuple(right for _, right in questions)
        prompts = tuple(Prompt(one, system=system, template=template) for one in asked)
        settings = {} if against is None else {"against": typed_prompts(against, tell)}
        request = Evaluate(name, terms, prompts, answers, settings=settings)
    except (LibraryError, MelboError, VectorError) as error:
        return told(error)
    return pane.measure(request, called(picked))


def _wrong_prompts(text: str) -> str:
    try:
        typed_prompts(text)
    except MelboError as error:
        return str(error)
    return ""


def _wrong_questions(text: str) -> str:
    try:
        questions_of(text)
    except (MelboError, VectorError, LibraryError) as error:
        return str(error)
    return ""


def _told(report: Report) -> str:
    return f"{report.metric} of {whom(report.vectors)}, {age(report.created)} ago" + ("" if report.complete else ", stopped")
