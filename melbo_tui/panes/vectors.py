"""The Vectors pane: what is kept, where each vector came from, what it makes the model say."""

from __future__ import annotations

from pathlib import Path

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import DataTable, Input, Static

from core.events import Event, Said, TaskEnded
from core.requests import Reply, ReplyRow
from core.steering import SteerTerm
from melbo_tui.charts import sparkline
from melbo_tui.messages import GrowFamily, SteerWith
from melbo_tui.panes.pane import Pane
from melbo_tui.widgets.dialogs import Ask
from melbo_tui.widgets.list_table import ListTable
from melbo_tui.wording import age, story
from vectors import exchange
from vectors.formats import writer_of
from vectors.index import LibraryError
from vectors.library import Kept, Sample
from vectors.plain_text import one_line
from vectors.vector import VectorError

_COEFFICIENTS = (-1.0, 0.0, 1.0, 2.0)
_SAMPLE_TOKENS = 48
_COLUMNS = (
    ("mark", "", 1),
    ("name", "name", 16),
    ("block", "block", 5),
    ("norm", "norm", 6),
    ("age", "age", 6),
    ("sample", "sample", 20),
)


class VectorsPane(Pane):
    BINDINGS = [
        Binding("s", "steer", "Steer", id="vectors.steer", tooltip="Put it on the chat's rack (Enter does so too)"),
        Binding("f", "family", "Family", id="vectors.family", tooltip="Grow an orthogonal family from it"),
        Binding("space", "sample", "Hear", id="vectors.sample", tooltip="Hear it at -1, 0, 1 and 2 times"),
        Binding("r", "rename", "Name", id="vectors.rename"),
        Binding("m", "note", "Note", id="vectors.note", tooltip="Write a note on it"),
        Binding("d", "delete", "Delete", id="vectors.delete", tooltip="Move it to the trash"),
        Binding("u", "undo", "Undo", id="vectors.undo", tooltip="Bring back what was deleted last"),
        Binding("a", "all", "All", id="vectors.all", tooltip="Everything runs have found, or only what was kept"),
        Binding("e", "export", "Export", id="vectors.export", show=False, tooltip="Write it to a safetensors file"),
        Binding("escape", "stop", "Stop", show=False, tooltip="Stop making samples; what was said stays"),
        Binding("slash", "filter", "Find", id="vectors.filter"),
    ]

    def __init__(self) -> None:
        super().__init__(id="vectors")
        self._kept: dict[str, Kept] = {}
        self._deleted: list[str] = []
        self._all = False
        self._sampling: dict[int, str] = {}
        self._heard: dict[str, dict[float, str]] = {}
        self._on_disk: tuple[list[float], dict[float, str]] = ([], {})

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(id="shelf"):
                yield Input(placeholder="Filter: words of a name, a prompt, a model, a sample", id="filter", compact=True)
                yield ListTable("table", _COLUMNS)
                yield Static("", id="nothing", markup=False)
            with VerticalScroll(id="detail"):
                yield Static("", id="detail-text", markup=False)

    def on_mount(self) -> None:
        self.query_one("#shelf").border_title = "Library"
        self.query_one("#detail").border_title = "Vector"

    def shown(self) -> None:
        self.refresh_list()
        self._table.focus()

    def refresh_list(self) -> None:
        """Reads the library again; the cursor stays on its vector."""
        library = self.melbo.library
        current = self._table.current
        try:
            library.refresh()
            entries = library.entries(kept_only=not self._all)
            samples = library.first_samples()
        except LibraryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        words = self.query_one("#filter", Input).value.lower().split()
        self._kept = {}
        table = self._table
        table.clear()
        for entry in entries:
            sample = samples[entry.id].text if entry.id in samples else ""
            text = " ".join((entry.name, entry.model, entry.method, entry.prompt, entry.note, sample)).lower()
            if not all(word in text for word in words):
                continue
            self._kept[entry.id] = entry
            mark = Text("★" if entry.kept else "", self.app.theme_variables["warning"])
            cells = [one_line(entry.name, 16), str(entry.block), f"{entry.norm:.3g}", age(entry.created), one_line(sample, 200)]
            table.add_row(mark, *(Text(c, no_wrap=True, overflow="ellipsis") for c in cells), key=entry.id)
        if current in self._kept:
            table.move_cursor(row=table.get_row_index(current))
        self._read_detail()
        self._show_nothing(bool(entries))
        shelf = self.query_one("#shelf")
        shelf.border_title = f"Library · {len(self._kept)} " + ("found" if self._all else "kept")
        shelf.border_subtitle = "a: only what was kept" if self._all else "a: all that runs have found"
        self._show_detail()

    def take(self, event: Event) -> None:
        id = self._sampling.get(event.task)
        if id is None:
            return
        if isinstance(event, Said):
            coefficient = float(event.key)
            self._heard.setdefault(id, {})[coefficient] = event.text
            if event.finished and id in self._kept:
                self.melbo.library.add_sample(id, Sample(self._prompt_of(self._kept[id]), coefficient, event.text))
            if id == self._table.current:
                self._show_detail()
        elif isinstance(event, TaskEnded):
            del self._sampling[event.task]
            if event.outcome == "failed":
                self.notify(event.message, severity="error", markup=False)
            self.refresh_list()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self.refresh_list()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._table.focus()

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._read_detail()
        self._show_detail()

    @on(DataTable.RowSelected)
    def _selected(self) -> None:
        self.action_steer()

    def action_filter(self) -> None:
        self.query_one("#filter", Input).focus()

    def action_all(self) -> None:
        self._all = not self._all
        self.refresh_list()

    def action_steer(self) -> None:
        entry = self._current()
        if entry is not None:
            self.post_message(SteerWith((entry.id,)))

    def action_family(self) -> None:
        entry = self._current()
        if entry is not None:
            self.post_message(GrowFamily(entry.name))

    def action_stop(self) -> None:
        for task in self._sampling:
            self.melbo.engine.cancel(task)

    def action_rename(self) -> None:
        entry = self._current()
        if entry is not None:
            self.ask_name(entry.id, entry.name, lambda given: self.refresh_list())

    def action_note(self) -> None:
        entry = self._current()
        if entry is None:
            return

        def done(note: str | None) -> None:
            if note is not None and self.attempt(lambda: self.melbo.library.note(entry.id, note)):
                self.refresh_list()

        self.app.push_screen(Ask(f"Note on {entry.name}", entry.note), done)

    def action_delete(self) -> None:
        entry = self._current()
        if entry is not None and self.attempt(lambda: self.melbo.library.delete([entry.id])):
            self._deleted.append(entry.id)
            self.notify(f"{entry.name} is in the trash; u brings it back.", markup=False)
            self.refresh_list()

    def action_undo(self) -> None:
        if not self._deleted:
            self.notify(
                "Nothing was deleted in this sitting; `melbo-tui vectors restore NAME` reaches further back.", markup=False
            )
            return
        id = self._deleted.pop()
        if self.attempt(lambda: self.melbo.library.restore([id])):
            self.refresh_list()

    def action_export(self) -> None:
        entry = self._current()
        if entry is None:
            return

        def check(text: str) -> str:
            path = Path(text).expanduser()
            try:
                writer_of(path)
            except VectorError as error:
                return str(error)
            return "" if path.parent.is_dir() else "its folder does not exist"

        def done(text: str | None) -> None:
            if text is not None:
                path = Path(text).expanduser()
                if self.attempt(lambda: exchange.export(self.melbo.library, [(entry.id, 1.0)], path)):
                    self.notify(f"{entry.name} was written to {path}", markup=False)

        self.app.push_screen(Ask(f"Export {entry.name} to", f"{entry.name}.safetensors", check=check), done)

    def action_sample(self) -> None:
        entry = self._current()
        if entry is None or entry.id in self._sampling.values():
            return
        if self.melbo.model is None:
            self.notify("The model is not loaded yet.", severity="warning")
            return
        try:
            vector = self.melbo.library.load(entry.id)
        except (LibraryError, VectorError) as error:
            self.notify(str(error), severity="error", markup=False)
            return
        prompt = self._prompt_of(entry)
        messages = ((("system", entry.origin.system),) if entry.origin.system else ()) + (("user", prompt),)
        rows = tuple(
            ReplyRow(str(c), messages, (SteerTerm(vector, c),) if c else (), max_new_tokens=_SAMPLE_TOKENS)
            for c in _COEFFICIENTS
        )
        self._heard[entry.id] = {}
        self._sampling[self.melbo.engine.submit(Reply(rows))] = entry.id

    def _prompt_of(self, entry: Kept) -> str:
        trained = entry.prompt if entry.prompt and not entry.prompt.startswith("token ids ") else ""
        return trained or self.melbo.settings.prompt

    @property
    def _table(self) -> ListTable:
        return self.query_one("#table", ListTable)

    def _current(self) -> Kept | None:
        return self._kept.get(self._table.current or "")

    def _show_nothing(self, any_kept: bool) -> None:
        nothing = self.query_one("#nothing", Static)
        nothing.display = not self._kept
        if any_kept:
            nothing.update("No vector fits the filter.")
        elif self._all:
            nothing.update("Nothing has been found yet: start a run under Train (1).")
        else:
            nothing.update("Nothing is kept yet: k keeps a vector under Train (1); a shows all that runs have found.")

    def _read_detail(self) -> None:
        """Reads what the detail shows of the chosen vector, once: samples that stream in redraw it many times a second."""
        entry = self._current()
        self._on_disk = ([], {})
        if entry is not None:
            samples = {s.coefficient: s.text for s in self.melbo.library.samples(entry.id)}
            self._on_disk = ([], samples)
            self.attempt(lambda: self._on_disk[0].extend(self.melbo.library.losses(entry.id)))

    def _show_detail(self) -> None:
        detail = self.query_one("#detail-text", Static)
        entry = self._current()
        if entry is None:
            detail.update("")
            return
        text = Text()
        text.append(entry.name + "\n", "bold")
        text.append(story(entry) + "\n")
        losses, kept = self._on_disk
        if losses:
            text.append(f"\nloss {losses[0]:.4g} ", "dim")
            text.append(sparkline(losses, 24), self.app.theme_variables["primary"])
            text.append(f" {losses[-1]:.4g} in {len(losses)} steps\n", "dim")
        if entry.note:
            text.append("\nnote  ", "dim")
            text.append(entry.note + "\n")
        heard = {**kept, **self._heard.get(entry.id, {})}
        text.append("\n")
        if not heard:
            text.append("space: hear what the model says under it at -1, 0, 1 and 2 times its size", "dim")
        for coefficient in sorted(heard):
            text.append(f"{coefficient:+g}  " if coefficient else " 0  ", "bold " + self.app.theme_variables["primary"])
            text.append(heard[coefficient].strip() + "\n\n")
        detail.update(text)
