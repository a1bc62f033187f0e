"""The library's vectors as a list: filtered, sorted, folded by run, marked; all about the one under the cursor beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from melbo_tui.formatting import CHOOSE_A_VECTOR
from melbo_tui.messages import NeighboursFound
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.vectors import rows as shelf
from melbo_tui.panes.vectors.detail import Facts, VectorDetail
from melbo_tui.widgets.dialogs import Choose, PickMany
from melbo_tui.widgets.virtual_table import Group, ShelfTable
from vectors.store import similarity
from vectors.store.index import LibraryError
from vectors.store.library import Kept, Sample
from vectors.store.query import SORTS, Line
from vectors.store.reports import whom
from vectors.vector import VectorError

if TYPE_CHECKING:
    from melbo_tui.panes.host import Host

_NEIGHBOURS = 5
# Neighbours are looked for when the cursor rests, not for every line it passes.
_REST_SECONDS = 0.4
_WATCH_SECONDS = 3.0


class Filter(Input):
    """Enter keeps its words, Escape takes them back; both lead to the list."""

    BINDINGS = [Binding("enter", "submit", "Keep"), Binding("escape", "leave", "Clear")]

    class Left(Message):
        pass

    def __init__(self) -> None:
        super().__init__(placeholder="Filter: words, tag:code, norm>5, rating>=3, -method:random", id="filter", compact=True)

    def action_leave(self) -> None:
        self.value = ""
        self.post_message(self.Left())


class VectorList(Pane):
    """Shows the library. `current()` is under the cursor, `picked()` what is marked, or else what is under the cursor;
    `chosen()` is the same, and tells where it is nothing.
    """

    def __init__(self, host: Host, id: str) -> None:
        super().__init__(host, id)
        self._lines: list[Line] = []
        self._view = shelf.View()
        self._facts = Facts()
        # Samples that are being made: by vector, then by prompt and coefficient.
        self._streaming: dict[str, dict[tuple[str, float], Sample]] = {}
        self._rest: Timer | None = None
        self._read_at = 0

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="shelf"):
                yield Filter()
                yield ShelfTable("table")
                yield Static("", id="nothing", markup=False)
            yield VectorDetail(id="detail")

    def on_mount(self) -> None:
        self.query_one("#detail").border_title = "Vector"
        self.set_interval(_WATCH_SECONDS, self._watch)

    def _watch(self) -> None:
        """Shows what another process, or a run, has changed in the library."""
        changed = self.host.library.changed_at()
        if changed != self._read_at and self.is_on_screen:
            self.refresh_list()

    def shown(self) -> None:
        self.refresh_list()
        self._table.focus()

    def on_resize(self) -> None:
        self._show_rows()

    # What is shown

    def current(self) -> Kept | None:
        row = self._table.current_row
        return row.entry if isinstance(row, Line) else None

    def picked(self) -> list[Kept]:
        marked = [line.entry for line in self._lines if line.entry.id in self._table.marked]
        here = self.current()
        return marked or ([here] if here is not None else [])

    def chosen(self) -> list[Kept]:
        """What is picked; where nothing is, says so."""
        picked = self.picked()
        if not picked:
            self.notify(CHOOSE_A_VECTOR)
        return picked

    @property
    def _table(self) -> ShelfTable:
        return self.query_one("#table", ShelfTable)

    def refresh_list(self, to: str | None = None) -> None:
        """Reads the library again; the cursor stays on its vector, or goes to the vector `to`."""

        def read() -> None:
            self.host.library.refresh()
            self._read_at = self.host.library.changed_at()
            self._lines = shelf.read(self.host.library)

        if self.attempt(read):
            self._table.marked &= {line.entry.id for line in self._lines}
            self._show_rows()
            if to is not None:
                self._table.go_to(to)

    def _show_rows(self) -> None:
        box, nothing = self.query_one("#shelf"), self.query_one("#nothing", Static)
        try:
            rows, count = shelf.rows(self._lines, self._view)
        except VectorError as error:
            box.border_subtitle = Text(str(error))
            return
        columns = shelf.fitting_columns(self.host.settings.columns, self._table.size.width, self._lines)
        self._table.show(rows, columns, self._view.sort, self._view.backwards)
        marked = f" · {len(self._table.marked)} marked" if self._table.marked else ""
        box.border_title = f"Library · {count} {'kept' if self._view.kept_only else 'in all'}{marked}"
        box.border_subtitle = "a: the vectors of all runs" if self._view.kept_only else "a: only kept ones"
        box.set_class(not rows, "-empty")
        if self._view.words:
            nothing.update("No vector matches the filter.")
        elif self._lines:
            nothing.update("Nothing is kept yet: k keeps a vector under Train (F1); a shows the vectors of all runs.")
        else:
            nothing.update("No vectors yet: start a run under Train (F1), or import a file (i).")

    @on(ShelfTable.Moved)
    def _moved(self) -> None:
        self._facts = Facts()
        entry = self.current()
        if entry is not None:
            library = self.host.library
            try:
                self._read_samples()
                self._facts.losses = library.losses(entry.id)
                recipe = library.recipe(entry.id)
                if recipe is not None:
                    self._facts.recipe = recipe.written(library.names())
            except (LibraryError, VectorError) as error:
                self._facts.recipe = str(error)
        self._show_detail()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(_REST_SECONDS, self._look_around)

    def _read_samples(self) -> None:
        if self._table.current is not None:
            self._facts.samples = self.host.library.samples(self._table.current)

    def _show_detail(self) -> None:
        entry = self.current()
        streaming = self._streaming.get(entry.id, {}) if entry is not None else {}
        self.query_one(VectorDetail).show(entry, self._facts, streaming, self.unfolded)

    def show_answers(self) -> None:
        self._show_detail()

    @work(thread=True, exclusive=True, group="neighbours", exit_on_error=False)
    def _look_around(self) -> None:
        entry = self.current()
        if entry is None:
            return
        library = self.host.library
        try:
            near = similarity.cosines(library, library.load(entry.id))[:_NEIGHBOURS]
        except (LibraryError, VectorError):
            return
        names = {line.entry.id: line.entry.name for line in self._lines}
        self.post_message(NeighboursFound(entry.id, tuple((names.get(id, id), cosine) for id, cosine in near)))

    @on(NeighboursFound)
    def _neighbours(self, message: NeighboursFound) -> None:
        if message.id == self._table.current:
            self._facts.neighbours = list(message.near)
            self._show_detail()

    # Filtering, sorting, marking

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._look(words=event.value)

    @on(Input.Submitted, "#filter")
    @on(Filter.Left)
    def _filter_done(self) -> None:
        self._table.focus()

    def fold(self, group: str) -> None:
        """Folds a run's vectors away, or unfolds them."""
        self._view = self._view.toggled(group)
        self._show_rows()

    def _look(self, **how: object) -> None:
        self._view = replace(self._view, **how)  # type: ignore[arg-type]
        self._show_rows()

    def action_filter(self) -> None:
        self.query_one("#filter", Input).focus()

    def action_all(self) -> None:
        self._look(kept_only=not self._view.kept_only)

    def action_runs(self) -> None:
        self._look(by_run=not self._view.by_run)

    def action_reverse(self) -> None:
        self._look(backwards=not self._view.backwards, sort=self._view.sort or "age")

    def action_sort(self) -> None:
        options = [("", "newest first"), *((key, f"by {key}") for key in SORTS)]
        self.app.push_screen(Choose("Sort", options), lambda key: None if key is None else self._look(sort=key))

    def action_columns(self) -> None:
        wanted = self.host.settings.columns or list(shelf.USUAL)
        options = [(key, column.title, key in wanted) for key, column in shelf.COLUMNS.items() if key != "name"]

        def done(chosen: list[str] | None) -> None:
            if chosen is not None:
                self.host.remember(columns=["name", *chosen])
                self._show_rows()

        self.app.push_screen(PickMany("Columns", options), done)

    def action_mark(self) -> None:
        row = self._table.current_row
        if isinstance(row, Group):
            self._table.marked ^= {line.entry.id for line in self._lines if line.entry.run == row.key}
        elif row is not None:
            self._table.marked ^= {row.entry.id}
        self._show_rows()
        self._table.action_move(1)

    def unmark_all(self) -> None:
        if self._table.marked:
            self._table.marked.clear()
            self._show_rows()


def called(entries: list[Kept]) -> str:
    return whom([entry.name for entry in entries])
