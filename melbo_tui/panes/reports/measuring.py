"""Vectors, measured for whichever pane asks: the work in hand, and its report as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from core.engine.events import Event, Progressed, Reported, TaskEnded, Warned
from melbo_tui.formatting import duration
from melbo_tui.panes.pane import Pane

if TYPE_CHECKING:
    from core.engine.evaluation_requests import Evaluate
    from core.engine.handle import Handle
    from melbo_tui.panes.reports.report import ReportScreen
    from vectors.store.library import Kept

MEASURE = "sweep of coefficients, survey, behaviours, accuracy, KL ... beside random vectors; earlier reports"


@dataclass(eq=False)
class _Work:
    """A metric at work for `pane`, and the screen that shows it, open or not."""

    pane: Pane
    metric: str
    handle: Handle | None = None
    screen: ReportScreen | None = None
    reported: Reported | None = None

    def stop(self) -> None:
        if self.handle is not None:
            self.handle.cancel()


class Measuring:
    """Measures what a pane picks; one for all panes."""

    def __init__(self) -> None:
        self._works: list[_Work] = []

    def choose(self, pane: Pane, picked: list[Kept]) -> None:
        """Asks which metric of `picked` is to be measured, or which earlier report is to be seen. Without any, the model itself
        can be measured."""
        from melbo_tui.panes.reports.dialogs import choose_metric  # with the metrics, which the first frame does without

        choose_metric(pane, picked, partial(self.measure, pane))

    def measure(self, pane: Pane, request: Evaluate, whom: str) -> str:
        """Asks the engine, for vectors called `whom`; gives why it cannot be asked, or nothing."""
        if wrong := pane.without_model():
            return wrong
        waits = " when the work in hand is done, or paused" if pane.host.busy else " …"
        work = _Work(pane, request.metric)
        self._works.append(work)
        work.handle = pane.host.engine.submit(request, partial(self._take, work))
        pane.notify(f"Measuring {request.metric} of {whom}{waits}", markup=False)
        return ""

    def stop(self, pane: Pane) -> bool:
        """Stops what is being measured for `pane`; tells whether anything was."""
        works = [work for work in self._works if work.pane is pane]
        for work in works:
            work.stop()
        return bool(works)

    def _take(self, work: _Work, event: Event) -> None:
        if isinstance(event, Reported):
            self._reported(work, event)
        elif isinstance(event, Progressed) and work.screen is not None and work.screen.is_attached:
            left = f", {duration(event.eta)} left" if event.eta is not None else ""
            work.screen.tell(f"{event.done / event.total:.0%}{left}")
        elif isinstance(event, Warned):
            work.pane.notify(event.message, severity="warning", timeout=12, markup=False)
        elif isinstance(event, TaskEnded):
            self._works.remove(work)
            self._ended(work, event)

    def _reported(self, work: _Work, event: Reported) -> None:
        from melbo_tui.panes.reports.report import ReportScreen

        first, work.reported = work.reported is None, event
        if first:
            work.screen = ReportScreen(event.report, work.pane.host.library, event.id, work.stop)
            if not _busy_elsewhere(work.pane):
                work.pane.app.push_screen(work.screen)
        elif work.screen is not None and work.screen.is_attached:
            work.screen.show(event.report, event.id)

    def _ended(self, work: _Work, event: TaskEnded) -> None:
        tell = partial(work.pane.notify, markup=False)
        open_still = work.screen is not None and work.screen.is_attached
        if open_still and work.screen is not None and work.reported is not None:
            work.screen.show(work.reported.report, work.reported.id, stopped=True)
        if event.outcome == "failed":
            tell(f"{event.message}. {event.remedy}" if event.remedy else event.message, severity="error")
        elif not open_still and work.reported is not None:
            tell(f"{work.metric} is done: its report stands first among the earlier ones.")


def _busy_elsewhere(pane: Pane) -> bool:
    """Whether somebody is in a dialog, or at another pane: a screen that comes by itself would take their keys."""
    return pane.app.screen is not pane.screen or not pane.is_on_screen
