"""What a run has found: a line for each vector, with its effect, its damage and what the model says under it."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import DataTable

from melbo_tui.charts import bar
from melbo_tui.run_state import CONTROL, UNSTEERED, RunState, damage, verdict
from vectors.plain_text import one_line

_WIDTHS = {"mark": 1, "name": 12, "effect": 6, "damage": 6, "verdict": 7}


class FoundTable(DataTable[Text]):
    """Rows are vectors by their index in the run, then the unsteered model and the random controls."""

    def __init__(self) -> None:
        super().__init__(id="found", cursor_type="row", zebra_stripes=False)
        self.border_title = "Found"
        self._marks: dict[str, tuple[str, str]] = {}

    def on_mount(self) -> None:
        for key, width in _WIDTHS.items():
            self.add_column({"mark": "", "verdict": ""}.get(key, key), key=key, width=width)
        self.add_column("what the model says under it", key="says", width=self._room())

    def on_resize(self) -> None:
        if self.columns:
            self.columns[next(k for k in self.columns if k.value == "says")].width = self._room()
            self.refresh()

    def mark(self, key: str, kept: bool, name: str) -> None:
        """Remembers that the user kept or renamed a row's vector."""
        self._marks[key] = ("★" if kept else "", name)

    def forget(self) -> None:
        self.clear()
        self._marks.clear()

    def show(self, run: RunState) -> None:
        """Brings the lines up to date, adding those that are new."""
        keys = run.rows()
        present = {key.value for key in self.rows}
        for key in keys:
            cells = self._cells(run, key)
            if key in present:
                for column, cell in cells.items():
                    if self.get_cell(key, column) != cell:
                        self.update_cell(key, column, cell)
            else:
                self.add_row(*cells.values(), key=key)
        if present and set(keys) - present:
            self.sort("name", key=lambda name: self._order(run, name))

    @property
    def current(self) -> str | None:
        """The key of the line the cursor is on."""
        if not self.row_count or not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _order(self, run: RunState, name: Text) -> tuple[int, str]:
        return (2 if name.plain.startswith("random") else 1 if name.plain == UNSTEERED else 0, name.plain)

    def _cells(self, run: RunState, key: str) -> dict[str, Text]:
        said = run.said.get(key)
        colors = self.app.theme_variables
        found = run.found.get(int(key)) if key.isdecimal() else None
        mark, name = self._marks.get(key, ("", found.name if found else ""))
        if key.startswith(CONTROL):
            name = f"random {int(key.split(':')[1]) + 1}"
        aside = "" if found else "dim"
        word = verdict(said) if said else ""
        return {
            "mark": Text(mark, colors["warning"]),
            "name": Text(one_line(name or key, 12), aside),
            "effect": Text(bar(run.effect(int(key)), 6) if found else "", colors["success"]),
            "damage": Text(bar(damage(said), 6) if said and said.perplexity is not None else "", colors["error"]),
            "verdict": Text(word, colors["text-error"] if word == "broken" else colors["text-warning"]),
            "says": Text(one_line(said.text, 400) if said else "…", aside, no_wrap=True, overflow="ellipsis"),
        }

    def _room(self) -> int:
        """What is left of the table's width for the text."""
        used = sum(_WIDTHS.values()) + 2 * (len(_WIDTHS) + 1)
        return max(self.size.width - used - 1, 20)
