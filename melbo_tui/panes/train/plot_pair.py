"""The two plots of a run that are seen at a time, one where the screen is narrow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal

from melbo_tui import charts
from melbo_tui.breakpoints import is_wide
from melbo_tui.panes.train.plots import PLOTS, Plot
from melbo_tui.run_state import RunState
from melbo_tui.widgets.chart import Chart


class PlotPair(Horizontal):
    """The objective stands on the left and the others take turns on the right; alone, the left one takes them all in turn."""

    def __init__(self) -> None:
        super().__init__(id="plots")
        self._run: RunState | None = None
        self._left, self._right = 0, 1

    def compose(self) -> ComposeResult:
        yield Chart("The objective by step, once a run starts.", id="plot-left")
        yield Chart("The norm of each vector.", id="plot-right")

    def turn(self) -> None:
        """Shows the next plot."""
        if is_wide(self.app):
            self._right = self._right % (len(PLOTS) - 1) + 1
        else:
            self._left = (self._left + 1) % len(PLOTS)
        self.show(self._run, at_once=True)

    def show(self, run: RunState | None, at_once: bool = False) -> None:
        """Draws `run` as it is now; at the next tick unless `at_once`."""
        self._run = run
        left, right = self.query_one("#plot-left", Chart), self.query_one("#plot-right", Chart)
        for chart, which in ((left, self._left), (right, self._right)):
            plot = PLOTS[which]
            chart.entitle(plot.title(run), "p: next plot" if chart is right or not is_wide(self.app) else "")
            chart.show(partial(self._drawn, plot), plot.x_label if chart.size.height > 6 else "", plot.from_zero, at_once)

    def _drawn(self, plot: Plot, colors: dict[str, charts.Color]) -> Sequence[charts.Series]:
        return plot.series(self._run, colors) if self._run is not None else ()
