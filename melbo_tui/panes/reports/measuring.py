"""What is picked in the list, measured: the work in hand, and its report as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.engine.events import Event, Progressed, Reported, TaskEnded, Warned
from melbo_tui.formatting import duration
from melbo_tui.panes.pane import Pane

if TYPE_CHECKING:
    from core.engine.evaluation_requests import Evaluate
    from melbo_tui.panes.reports.report import ReportScreen
    from vectors.store.library import Kept

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
        from melbo_tui.panes.reports.dialogs import choose_metric  # with the metrics, which the first frame does without

        choose_metric(self, self.to_measure())

    def measure(self, request: Evaluate, whom: str) -> str:
        """Asks the engine, for vectors called `whom`; gives why it cannot be asked, or nothing."""
        if wrong := self.without_model():
            return wrong
        waits = " when the work in hand is done, or paused" if self.melbo.busy else " …"
        self._works[self.melbo.engine.submit(request)] = _Work(request.metric)
        self.notify(f"Measuring {request.metric} of {whom}{waits}", markup=False)
        return ""

    def take(self, event: Event) -> None:
        super().take(event)
        work = self._works.get(event.task)
        if work is None:
            return
        if isinstance(event, Reported):
            from melbo_tui.panes.reports.report import ReportScreen

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
