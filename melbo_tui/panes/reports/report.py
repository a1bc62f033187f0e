"""An evaluation's tables, as they fill; under them the row that the cursor is on, whole, and what it all comes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import DataTable, Static

from melbo_tui.breakpoints import is_wide
from melbo_tui.messages import LibraryChanged, SteerWith
from melbo_tui.panes.reports import plot as report_plot
from melbo_tui.widgets.chart import Chart
from melbo_tui.widgets.dialog import Dialog
from melbo_tui.widgets.list_table import ListTable
from vectors.expression import KeptTerm
from vectors.store.index import LibraryError
from vectors.store.reports import Report, Table, whom
from vectors.vector import VectorError

if TYPE_CHECKING:
    from vectors.store.library import Library

T = TypeVar("T")
_LONGEST_NAME = 24
_LEAST_LAST = 12
_ROOM_FOR_A_PLOT = 32
_NAMES = ("vector", "first under")  # columns that name vectors


class ReportScreen(Dialog[None]):
    """Shows the report `id`, on vectors of `library`; `stop` ends the work that it comes from, None where there is none."""

    DEFAULT_CSS = """
    ReportScreen { align: center middle; }
    ReportScreen > Vertical { width: 98%; height: 100%; padding: 0 1; background: $surface; border: round $primary; }
    ReportScreen #about { height: 1; color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    ReportScreen #titles { height: 1; }
    ReportScreen ListTable { height: 1fr; display: none; }
    ReportScreen ListTable.-shown { display: block; }
    ReportScreen #plot { height: 1fr; border: round $primary 40%; border-title-color: $text; display: none; }
    ReportScreen #plot.-shown { display: block; }
    ReportScreen #row { height: auto; max-height: 7; border-top: solid $primary 40%; }
    ReportScreen #findings { height: auto; max-height: 9; border-top: solid $primary 40%; text-style: bold; }
    """
    BINDINGS = [
        ("escape,q", "dismiss(None)", "Close"),
        ("tab,right", "turn(1)", "Next table"),
        ("shift+tab,left", "turn(-1)", "Previous table"),
        ("p", "plot", "Plot"),
        ("k", "keep", "Keep"),
        ("c", "chat", "Chat"),
        ("x", "stop", "Stop"),
    ]

    def __init__(self, report: Report, library: Library, id: str = "", stop: Callable[[], None] | None = None) -> None:
        super().__init__()
        self._report, self._library, self._kept_as, self._stop = report, library, id, stop
        self._at = 0
        self._plot: int | None = None  # which of the table's plots is seen
        self._progress = "working"

    def compose(self) -> ComposeResult:
        with Vertical(id="report-box"):
            yield Static("", id="about", markup=False)
            yield Static("", id="titles", markup=False)
            yield Vertical(id="tables")
            yield Chart("Nothing to draw yet.", id="plot")
            yield Static("", id="row", markup=False)
            yield Static("", id="findings", markup=False)

    def on_mount(self) -> None:
        self._plot = 0 if self.app.size.height >= _ROOM_FOR_A_PLOT else None
        self.show(self._report, self._kept_as)

    def show(self, report: Report, id: str, stopped: bool = False) -> None:
        """Takes a later state of the report."""
        self._report, self._kept_as = report, id
        if stopped or report.complete:
            self._stop = None
        if not self.query("#report-box"):
            return  # not composed yet; it will be shown when it is
        box = self.query_one("#report-box")
        self.tell(self._progress)
        keys = ["Tab: next"] if len(report.tables) > 1 else []
        keys += ["k keeps", "c: chat"] if report.ids else []
        keys += ["p: plots"] if any(table.plots for table in report.tables) else []
        kept = [f"kept as {id}"] if id and is_wide(self.app) else []
        box.border_subtitle = Text(" · ".join([*keys, *kept, "Esc closes"]))
        self.query_one("#about", Static).update(f"{report.model}, on: {report.asked}" if report.prompts else report.model)
        self.query_one("#findings", Static).update("\n".join(report.findings))
        self._show_table()

    def tell(self, progress: str) -> None:
        """Says in the title how far the work is, or how it has ended."""
        self._progress = progress
        if not self.query("#report-box"):
            return
        state = "" if self._report.complete else f" · {progress}, x stops it" if self._stop else " · stopped early"
        self.query_one("#report-box").border_title = Text(f"{self._report.metric} of {whom(self._report.vectors)}{state}")

    def _fill(self, place: int) -> None:
        """Puts a table's rows in its widget, which is made when it is first told of; the cursor stays where it is."""
        table, id = self._report.tables[place], f"table-{place}"
        cells = table.shown()
        layout = []
        for i, column in enumerate(table.columns):
            width = min(max([len(column.name), *(len(row[i]) for row in cells)]), _LONGEST_NAME)
            last = i == len(table.columns) - 1 and not column.form
            name = column.name.rjust(width) if column.form else column.name  # over numbers, which stand on the right
            layout.append((str(i), name, _LEAST_LAST if last else width))
        if table.columns and table.columns[-1].form:
            layout.append(("rest", "", 0))  # or the last number would stand alone at the far right
        widgets = list(self.query(f"#{id}").results(ListTable))
        if not widgets or not widgets[0].columns:
            if not widgets:
                self.query_one("#tables").mount(ListTable(id, layout, {}))
            self.call_after_refresh(self._fill, place)  # with what is known when it has its columns
            return
        widget = widgets[0]
        widget.lay_out(layout)
        cursor = widget.cursor_row
        widget.clear()
        for row, line in zip(table.rows, cells, strict=True):
            texts = [_shown(text, isinstance(cell, (int, float))) for text, cell in zip(line, row, strict=True)]
            widget.add_row(*texts, *[Text()] * (len(layout) - len(texts)))
        widget.move_cursor(row=min(cursor, max(len(cells) - 1, 0)))
        self._show_row()

    def _show_table(self) -> None:
        tables = self._report.tables
        if not tables:
            return
        self._at %= len(tables)
        titles = Text()
        for place, table in enumerate(tables):
            titles.append(f" {table.title} ", "bold reverse" if place == self._at and len(tables) > 1 else "bold")
            titles.append("  ")
        self.query_one("#titles", Static).update(titles)
        self._fill(self._at)  # those that nobody looks at are filled when somebody does
        self.call_after_refresh(self._focus_table)

    def _focus_table(self) -> None:
        for widget in self.query(ListTable):
            widget.set_class(widget.id == f"table-{self._at}", "-shown")
            if widget.id == f"table-{self._at}" and not widget.has_focus:
                widget.focus()
        self._show_row()

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        self._show_row()

    def _seen(self) -> tuple[Table | None, int]:
        """The table that is seen, and the number of the row under its cursor."""
        table = self._report.tables[self._at] if self._report.tables else None
        return table, next((widget.cursor_row for widget in self.query(f"#table-{self._at}").results(ListTable)), 0)

    def _show_row(self) -> None:
        """The row under the cursor, every cell whole: in the table long ones are cut."""
        text = Text()
        table, row = self._seen()
        if table is not None and row < len(table.rows):
            shown = table.shown_row(row)
            # What stands last is, as a rule, a completion.
            words = "" if table.columns[-1].form else shown.pop()
            facts = [f"{column.name} {cell}".strip() for column, cell in zip(table.columns, shown, strict=False) if cell]
            text.append(" · ".join(facts) + ("\n" if facts and words else ""), "dim")
            text.append(words)
        self.query_one("#row", Static).update(text)
        self._show_plot()

    def _show_plot(self) -> None:
        """Draws the plot that is chosen of the table that is seen, where it has any."""
        table, row = self._seen()
        chart = self.query_one("#plot", Chart)
        seen = table is not None and bool(table.plots) and self._plot is not None
        chart.set_class(seen, "-shown")
        # Where there is little room, the plot takes that of the row and the findings.
        self.query_one("#row").display = whole = not seen or self.app.size.height >= _ROOM_FOR_A_PLOT
        self.query_one("#findings").display = whole and bool(self._report.findings)
        if table is None or not seen or self._plot is None:
            return
        plot = table.plots[self._plot % len(table.plots)]
        chart.entitle(report_plot.title(plot, table, row), "p: next plot, or none")
        chart.show(partial(report_plot.series, plot, table, row), plot.x or "row", from_zero=True, at_once=True)

    def action_plot(self) -> None:
        """Shows the next of the table's plots; behind the last one, none."""
        table, _ = self._seen()
        plots = table.plots if table is not None else ()
        after = 0 if self._plot is None else self._plot + 1
        self._plot = after if after < len(plots) else None
        self._show_plot()

    def action_turn(self, by: int) -> None:
        self._at += by
        self._show_table()

    def action_keep(self) -> None:
        """Keeps the vector of the row, or lets it go again."""
        id = self._vector()
        if id is None:
            return
        try:
            entry = self._library.get(id)
            self._library.keep([id], not entry.kept)
        except (LibraryError, VectorError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"{entry.name} is {'no longer kept' if entry.kept else 'kept'}.", markup=False)
        self.app.post_message(LibraryChanged())

    def action_chat(self) -> None:
        """Puts the vector of the row on the chat's rack, or the whole expression that it is about, and goes there."""
        terms = self._about(self._report.steerings) or ()
        if terms and (len(terms) > 1 or terms[0] != KeptTerm(terms[0].id, terms[0].name)):
            self.app.post_message(SteerWith(terms=terms))
            self.dismiss(None)
        elif (id := self._vector()) is not None:
            self.app.post_message(SteerWith((id,)))
            self.dismiss(None)

    def _vector(self) -> str | None:
        """The id of the vector that the row under the cursor is about; where it is about none, or several, says so."""
        id = self._about(self._report.ids)
        if not id:
            self.notify("This row has no vector of the library.")
        return id or None

    def _about(self, by_condition: Sequence[T]) -> T | None:
        """That of `by_condition`, one for each of the report's conditions, which the row under the cursor is about."""
        table, row = self._seen()
        if table is None or row >= len(table.rows):
            return None
        named = dict(zip(self._report.vectors, by_condition, strict=False))
        cells = [str(table.rows[row][place]) for place, column in enumerate(table.columns) if column.name in _NAMES]
        return next((named[cell] for cell in cells if cell in named), None)

    def action_stop(self) -> None:
        if self._stop is not None:
            self._stop()


def _shown(text: str, number: bool) -> Text:
    return Text(text, justify="right" if number else "left", no_wrap=True, overflow="ellipsis")
