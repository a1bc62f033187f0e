"""What a run has found: a line for each vector, with its effect, its damage and what the model says under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding

from core.engine.events import CONTROL
from melbo_tui.charts import bar
from melbo_tui.formatting import answer_of, short_name
from melbo_tui.run_state import RunState, damage, verdict
from melbo_tui.widgets.list_table import ListTable
from vectors.plain_text import one_line

_COLUMNS = (
    ("mark", "", 1),
    ("name", "name", 10),
    ("effect", "effect", 6),
    ("damage", "damage", 6),
    ("verdict", "", 1),
    ("says", "what the model says under it", 20),
)
# Eight answers at once are told ten times a second each; nobody reads so fast, and every line is cells to paint.
_REDRAW_SECONDS = 0.3
_VERDICT_SIGNS = {"": "", "refuses": "⊘", "broken": "✗", "no answer": "…"}


class _Name(Text):
    """A row's name, cut as the column wants it, that knows the row's place: found vectors in their order, the unsteered
    model, the controls."""

    def __init__(self, name: str, style: str, key: str) -> None:
        super().__init__(name, style)
        self.rank = (0, int(key)) if key.isdecimal() else (2, int(key.split(":")[1])) if ":" in key else (1, 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        return Text(short_name(self.plain, options.max_width), self.style).__rich_console__(console, options)


class FoundTable(ListTable):
    """Rows are vectors by their index in the run, then the unsteered model and the random controls."""

    BINDINGS = [Binding("enter", "select_cursor", "Read", tooltip="Go to the completion below, to scroll it")]

    def __init__(self) -> None:
        super().__init__("found", _COLUMNS, {"name": 16})
        self.border_title = "Found"
        self._marks: dict[str, tuple[str, str]] = {}
        self._stale: dict[str, RunState] = {}

    def on_mount(self) -> None:
        self.set_interval(_REDRAW_SECONDS, self._redraw)

    def mark(self, key: str, kept: bool, name: str) -> None:
        """Remembers that the user kept or renamed a row's vector."""
        self._marks[key] = ("★" if kept else "", name)

    def name_of(self, run: RunState, key: str) -> str:
        """What a row is called, by the user's name where there is one."""
        if key.startswith(CONTROL):
            return f"random {int(key.split(':')[1]) + 1}"
        found = run.vector(key)
        return self._marks.get(key, ("", found.name if found else key))[1]

    def forget(self) -> None:
        self.clear()
        self._marks.clear()
        self._stale.clear()

    def show_soon(self, run: RunState, keys: Sequence[str]) -> None:
        """Brings the lines of `keys` up to date at the next tick, or at once where one is new."""
        if all(key in self.rows for key in keys):
            self._stale |= dict.fromkeys(keys, run)
        else:
            self.show(run, keys)

    def _redraw(self) -> None:
        stale, self._stale = self._stale, {}
        for key, run in stale.items():
            self.show(run, [key])

    def show(self, run: RunState, keys: Sequence[str]) -> None:
        """Brings the lines of `keys` up to date, adding those that are new."""
        count = self.row_count
        for key in keys:
            cells = self._cells(run, key)
            if key in self.rows:
                for column, cell in cells.items():
                    if self.get_cell(key, column) != cell:
                        self.update_cell(key, column, cell)
            else:
                self.add_row(*cells.values(), key=key)
        if count and self.row_count > count:
            self.sort("name", key=lambda name: name.rank)

    @staticmethod
    def _says(run: RunState, key: str) -> str:
        said, lack = run.said.get(key), run.lack(key)
        return " ".join(part for part in (lack, one_line(answer_of(said), 400) if said else "") if part) or "…"

    def _cells(self, run: RunState, key: str) -> dict[str, Text]:
        said = run.said.get(key)
        colors = self.app.theme_variables
        found = run.vector(key)
        aside = "" if found else "dim"
        word = verdict(said) if said else ""
        return {
            "mark": Text(self._marks.get(key, ("", ""))[0], colors["warning"]),
            "name": _Name(self.name_of(run, key), aside, key),
            "effect": Text(bar(run.effect(int(key)), 6) if found else "", colors["success"]),
            "damage": Text(bar(damage(said), 6) if said and said.perplexity is not None else "", colors["error"]),
            "verdict": Text(_VERDICT_SIGNS[word], colors["text-error"] if word == "broken" else colors["text-warning"]),
            "says": Text(
                self._says(run, key), aside if said and not said.thinking else "dim", no_wrap=True, overflow="ellipsis"
            ),
        }
