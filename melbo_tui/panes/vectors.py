"""The Vectors pane: everything that was found, curated; where each vector came from, what it says, what it is like."""

from __future__ import annotations

from dataclasses import replace

from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Input, Static

from core.events import Event, LensRead, Said, TaskEnded
from melbo_tui.messages import NeighboursFound
from melbo_tui.panes import shelf
from melbo_tui.panes.vector_actions import VectorActions
from melbo_tui.panes.vector_detail import Facts, VectorDetail
from melbo_tui.widgets.dialogs import Choose, PickMany
from melbo_tui.widgets.shelf_table import Group, ShelfTable
from vectors import similarity
from vectors.curation import MAX_RATING
from vectors.index import LibraryError
from vectors.library import Kept, Sample
from vectors.query import SORTS, Line
from vectors.vector import VectorError

_NEIGHBOURS = 5
# Neighbours are looked for when the cursor rests, not for every line it passes.
_REST_SECONDS = 0.4
_WATCH_SECONDS = 3.0


class VectorsPane(VectorActions):
    BINDINGS = [
        Binding("s", "steer", "Steer", id="vectors.steer", tooltip="Put it on the chat's rack (Enter does so too)"),
        Binding("space", "hear", "Hear", id="vectors.hear", tooltip="Hear it at -1, 0, 1 and 2 times its size"),
        Binding("slash", "filter", "Find", id="vectors.filter", tooltip="Filter: words, tag:code, norm>5, rating>=3 ..."),
        Binding("x", "mark", "Mark", id="vectors.mark", tooltip="Mark it; what follows is then done to all that are marked"),
        Binding("w", "mix", "Mix", id="vectors.mix", tooltip="The workbench: mix the marked vectors"),
        Binding("t", "tag", "Tag", id="vectors.tag", tooltip="Add tags, or take them off with a - before them"),
        Binding("r", "rename", "Name", id="vectors.rename", tooltip="Give it another name, which keeps it"),
        Binding("d", "delete", "Delete", id="vectors.delete", tooltip="Move it to the trash"),
        Binding("u", "undo", "Undo", id="vectors.undo", tooltip="Take back the last change"),
        Binding("a", "all", "All", id="vectors.all", tooltip="Everything runs have found, or only what was kept"),
        *(
            Binding(str(n), f"rate({n})", f"Rate {n}", show=False, id=f"vectors.rate{n}", tooltip=f"Give it {n} of 5")
            for n in range(MAX_RATING + 1)
        ),
        Binding("k", "keep", "Keep", show=False, id="vectors.keep", tooltip="Keep it, or keep it no longer"),
        Binding("m", "note", "Note", show=False, id="vectors.note", tooltip="Write a note on it"),
        Binding("f", "family", "Family", show=False, id="vectors.family", tooltip="Grow an orthogonal family from it"),
        Binding("c", "compare", "Compare", show=False, id="vectors.compare", tooltip="Two vectors side by side"),
        Binding("p", "hear_on", "Hear on a prompt", show=False, id="vectors.hear_on", tooltip="Hear it on a prompt of yours"),
        Binding("l", "lens", "Logit lens", show=False, id="vectors.lens", tooltip="Tokens that it points at, as a hint"),
        Binding("z", "runs", "By run", show=False, id="vectors.runs", tooltip="Under their runs; Enter folds one"),
        Binding("o", "sort", "Sort", show=False, id="vectors.sort", tooltip="Sort by a column"),
        Binding("O", "reverse", "Reverse", show=False, id="vectors.reverse", tooltip="Sort the other way round"),
        Binding("v", "columns", "Columns", show=False, id="vectors.columns", tooltip="Choose the columns"),
        Binding("e", "export", "Export", show=False, id="vectors.export", tooltip="Write to a file"),
        Binding("i", "import", "Import", show=False, id="vectors.import", tooltip="Take in a file"),
        Binding("escape", "stop", "Stop", show=False, tooltip="Stop making samples; unmark all"),
    ]

    def __init__(self) -> None:
        super().__init__("vectors")
        self._view = shelf.View()
        self._facts = Facts()
        self._streaming: dict[str, dict[tuple[str, float], str]] = {}
        self._rest: Timer | None = None
        self._read_at = 0

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="shelf"):
                yield Input(placeholder="Filter: words, tag:code, norm>5, rating>=3, -method:random", id="filter", compact=True)
                yield ShelfTable("table")
                yield Static("", id="nothing", markup=False)
            yield VectorDetail(id="detail")

    def on_mount(self) -> None:
        self.query_one("#detail").border_title = "Vector"
        self.set_interval(_WATCH_SECONDS, self._watch)

    def _watch(self) -> None:
        """Shows what another process, or a run, has changed in the library."""
        changed = self.melbo.library.changed_at()
        if changed != self._read_at and self.is_on_screen and not self._hearing:
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

    @property
    def _table(self) -> ShelfTable:
        return self.query_one("#table", ShelfTable)

    def refresh_list(self, to: str | None = None) -> None:
        """Reads the library again; the cursor stays on its vector, or goes to the vector `to`."""

        def read() -> None:
            self.melbo.library.refresh()
            self._read_at = self.melbo.library.changed_at()
            self._lines = shelf.read(self.melbo.library)

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
            box.border_subtitle = str(error)
            return
        columns = shelf.fitting_columns(self.melbo.settings.columns, self._table.size.width, self._lines)
        self._table.show(rows, columns, self._view.sort, self._view.backwards)
        marked = f" · {len(self._table.marked)} marked" if self._table.marked else ""
        box.border_title = f"Library · {count} {'kept' if self._view.kept_only else 'found'}{marked}"
        box.border_subtitle = "a: all that runs have found" if self._view.kept_only else "a: only what was kept"
        nothing.display = not rows
        if self._view.words:
            nothing.update("No vector fits the filter.")
        elif self._lines:
            nothing.update("Nothing is kept yet: k keeps a vector under Train (F1); a shows all that runs have found.")
        else:
            nothing.update("Nothing has been found yet: start a run under Train (F1), or import a file (i).")

    @on(ShelfTable.Moved)
    def _moved(self) -> None:
        self._facts = Facts()
        entry = self.current()
        if entry is not None:
            library = self.melbo.library
            self._facts.samples = library.samples(entry.id)
            recipe = None
            try:
                self._facts.losses = library.losses(entry.id)
                recipe = library.recipe(entry.id)
            except (LibraryError, VectorError) as error:
                self._facts.recipe = str(error)
            if recipe is not None:
                self._facts.recipe = recipe.written(library.names())
        self._show_detail()
        if self._rest is not None:
            self._rest.stop()
        self._rest = self.set_timer(_REST_SECONDS, self._look_around)

    def _show_detail(self) -> None:
        entry = self.current()
        streaming = self._streaming.get(entry.id, {}) if entry is not None else {}
        self.query_one(VectorDetail).show(entry, self._facts, streaming)

    @work(thread=True, exclusive=True, group="neighbours", exit_on_error=False)
    def _look_around(self) -> None:
        entry = self.current()
        if entry is None:
            return
        library = self.melbo.library
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

    def take(self, event: Event) -> None:
        if isinstance(event, LensRead) and event.vector == self._table.current:
            self._facts.lens = event
            self._show_detail()
        elif isinstance(event, Said) and event.task in self._previews:
            self._previews[event.task](event.text)
        elif isinstance(event, Said) and event.task in self._hearing:
            self._heard(event, *self._hearing[event.task])
        elif isinstance(event, TaskEnded):
            self._previews.pop(event.task, None)
            if self._hearing.pop(event.task, None) is not None:
                if event.outcome == "failed":
                    self.notify(event.message, severity="error", markup=False)
                self.refresh_list()

    def _heard(self, event: Said, id: str, prompt: str) -> None:
        coefficient = float(event.key)
        streaming = self._streaming.setdefault(id, {})
        streaming[prompt, coefficient] = event.text
        if event.finished:
            kl = sum(event.kl) / len(event.kl) if event.kl and coefficient else None
            sample = Sample(prompt, coefficient, event.text, kl)
            if self.attempt(lambda: self.melbo.library.add_sample(id, sample)):
                del streaming[prompt, coefficient]
        if id == self._table.current:
            self._facts.samples = self.melbo.library.samples(id)
            self._show_detail()

    # Filtering, sorting, marking

    @on(Input.Changed, "#filter")
    def _filter_changed(self, event: Input.Changed) -> None:
        self._look(words=event.value)

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._table.focus()

    @on(ShelfTable.Chosen)
    def _chosen(self) -> None:
        row = self._table.current_row
        if isinstance(row, Group):
            self._view = self._view.toggled(row.key)
            self._show_rows()
        else:
            self.action_steer()

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
        wanted = self.melbo.settings.columns or list(shelf.USUAL)
        options = [(key, column.title, key in wanted) for key, column in shelf.COLUMNS.items() if key != "name"]

        def done(chosen: list[str] | None) -> None:
            if chosen is not None:
                self.melbo.remember(columns=["name", *chosen])
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

    def action_stop(self) -> None:
        for task in (*self._hearing, *self._previews):
            self.melbo.engine.cancel(task)
        if not self._hearing and self._table.marked:
            self._table.marked.clear()
            self._show_rows()
