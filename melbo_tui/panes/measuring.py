"""What is picked in the list, measured: a metric, the prompts to measure on, and the report as it grows."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import MelboError
from core.evaluation import METRICS, Metric
from core.evaluation.requests import Evaluate
from core.events import Event, Progressed, Reported, TaskEnded, Warned
from core.model.template_arguments import shared_arguments
from core.requests import Prompt
from core.steering import SteerTerm
from core.text_files import questions_of
from melbo_tui.attempts import told
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.report import ReportScreen
from melbo_tui.panes.vector_list import called
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.dialogs import Ask, Choose
from melbo_tui.wording import age, duration
from vectors.index import LibraryError
from vectors.library import Kept
from vectors.reports import Report, Reports, whom
from vectors.vector import VectorError

_REPORTS = 12
MEASURE = "dose sweep, survey of prompts, behaviours, accuracy, KL and more, beside random ones; earlier reports"


@dataclass
class _Work:
    """A metric at work, and the screen that shows it, open or not."""

    metric: str
    screen: ReportScreen | None = None
    reported: Reported | None = None


class Measuring(Pane):
    """A pane whose vectors can be measured: its action `measure` is about `to_measure()`."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._works: dict[int, _Work] = {}

    def to_measure(self) -> list[Kept]:
        """Which vectors are meant; without any, the model itself can be measured, and earlier reports be seen."""
        return []

    def action_measure(self) -> None:
        picked = self.to_measure()
        reports: list[tuple[str, Report]] = []
        self.attempt(lambda: reports.extend(Reports(self.melbo.library.folder).listed(_REPORTS)))
        metrics = {name: metric for name, metric in METRICS.items() if len(picked) >= metric.least_vectors}
        options = [(name, f"{name:<11}{metric.summary}") for name, metric in metrics.items()]
        options += [(f"report {id}", f"shown again: {_told(report)}") for id, report in reports]
        kept = dict(reports)

        def done(key: str | None) -> None:
            if key is None:
                return
            if key in METRICS:
                if self.model_is_there():
                    self._ask(key, METRICS[key], picked)
            else:
                id = key.removeprefix("report ")
                self.app.push_screen(ReportScreen(kept[id], id))

        self.app.push_screen(Choose(f"Measure {called(picked)}", options), done)

    def _ask(self, name: str, metric: Metric, picked: list[Kept]) -> None:
        """Asks what to measure on, then begins."""
        trained = next((entry.prompt for entry in picked if entry.prompt and not entry.prompt.startswith("token ids ")), "")
        start, hint, wrong = (
            trained or self.melbo.settings.prompt,
            f"A prompt, or {FILES}.",
            _wrong_prompts,
        )
        if metric.questions:
            start, wrong = "", _wrong_questions
            hint = "A file of questions: .txt or .tsv of question<TAB>answer|another right one, .csv, .json or .jsonl."
        on = f"{name} of {called(picked)} on"
        if name != "presence":
            begin = lambda text: self._begin_measuring(name, picked, text)  # noqa: E731
            self.app.push_screen(Ask(on, start, f"{metric.about}\n\n{hint}", wrong, begin))
            return

        def against(text: str | None) -> None:
            if text is not None:
                others = f"Prompts of another kind, to be told apart from those: a prompt, or {FILES}."
                begin = lambda other: self._begin_measuring(name, picked, text, other)  # noqa: E731
                self.app.push_screen(Ask("presence, against", "", others, _wrong_prompts, begin))

        self.app.push_screen(Ask(on, start, f"{metric.about}\n\n{hint}", wrong), against)

    def _begin_measuring(self, name: str, picked: list[Kept], text: str, against: str | None = None) -> str:
        """Asks the engine; `text` and `against` are prompts, or files of them. Gives why it could not, or nothing."""
        # Vectors were found behind a system text or none, and with arguments of the template; they are measured so.
        systems = {entry.origin.system for entry in picked}
        system = systems.pop() if len(systems) == 1 else None
        template = shared_arguments(entry.origin for entry in picked)
        try:
            terms = tuple(SteerTerm(self.melbo.library.load(entry.id)) for entry in picked)
            questions = questions_of(text, self._tell) if METRICS[name].questions else []
            asked = [question for question, _ in questions] or typed_prompts(text, self._tell)
            answers = tuple(right for _, right in questions)
            prompts = tuple(Prompt(one, system=system, template=template) for one in asked)
            settings = {} if against is None else {"against": typed_prompts(against, self._tell)}
            request = Evaluate(name, terms, prompts, answers, settings=settings)
        except (LibraryError, MelboError, VectorError) as error:
            return told(error)
        if wrong := self.without_model():
            return wrong
        waits = " when the work in hand is done, or paused" if self.melbo.busy else " …"
        self._works[self.melbo.engine.submit(request)] = _Work(name)
        self.notify(f"Measuring {name} of {called(picked)}{waits}", markup=False)
        return ""

    def _tell(self, line: str) -> None:
        """How a file was read, where there was a choice."""
        self.notify(line, markup=False)

    def take(self, event: Event) -> None:
        super().take(event)
        work = self._works.get(event.task)
        if work is None:
            return
        if isinstance(event, Reported):
            first, work.reported = work.reported is None, event
            if first:
                task = event.task
                work.screen = ReportScreen(event.report, event.id, lambda: self.melbo.engine.cancel(task))
                if not self._busy_elsewhere():
                    self.app.push_screen(work.screen)
            elif work.screen is not None and work.screen.is_attached:
                work.screen.show(event.report, event.id)
        elif isinstance(event, Progressed) and work.screen is not None and work.screen.is_attached:
            left = f", {duration(event.eta)} left" if event.eta is not None else ""
            work.screen.tell(f"{event.done / event.total:.0%}{left}")
        elif isinstance(event, Warned):
            self.notify(event.message, severity="warning", timeout=12, markup=False)
        elif isinstance(event, TaskEnded):
            del self._works[event.task]
            self._measured(work, event)

    def _measured(self, work: _Work, event: TaskEnded) -> None:
        open_still = work.screen is not None and work.screen.is_attached
        if open_still and work.screen is not None and work.reported is not None:
            work.screen.show(work.reported.report, work.reported.id, stopped=True)
        if event.outcome == "failed":
            self.notify(f"{event.message}. {event.remedy}" if event.remedy else event.message, severity="error", markup=False)
        elif not open_still and work.reported is not None:
            self.notify(f"{work.metric} is done: its report stands first among the earlier ones.", markup=False)

    def _busy_elsewhere(self) -> bool:
        """Whether somebody is in a dialog, or at another pane: a screen that comes by itself would take their keys."""
        return self.app.screen is not self.screen or not self.is_on_screen

    def stop_measuring(self) -> bool:
        """Stops what is being measured; tells whether anything was."""
        for task in self._works:
            self.melbo.engine.cancel(task)
        return bool(self._works)


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
