"""The vectors of a run: a line for each, with its effect, its damage and the completion under it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, ConsoleOptions
from rich.segment import Segment
from rich.text import Text
from textual.binding import Binding

from core.engine.events import CONTROL
from melbo_tui.charts import bar
from melbo_tui.formatting import answer_of, short_name
from melbo_tui.run_state import RunState
from melbo_tui.widgets.list_table import ListTable
from vectors.completion import BROKEN, DEFLECTS, NO_ANSWER, OFF_TOPIC, REFUSES
from vectors.plain_text import one_line

_COLUMNS = (
    ("mark", "", 1),
    ("name", "name", 10),
    ("effect", "effect", 6),
    ("damage", "damage", 6),
    ("verdict", "", 1),
    ("completion", "completion", 20),
)
# Eight completions at once are told ten times a second each; nobody reads so fast, and every line is cells to paint.
_REDRAW_SECONDS = 0.3
_VERDICT_SIGNS = {"": "", REFUSES: "⊘", BROKEN: "✗", NO_ANSWER: "…", DEFLECTS: "↷", OFF_TOPIC: "≠"}


class _Name(Text):
    """A row's name, cut as the column wants it, that knows the row's place: the vectors in order, unsteered, the controls."""

    def __init__(self, name: str, style: str, key: str) -> None:
        super().__init__(name, style)
        self.rank = (0, int(key)) if key.isdecimal() else (2, int(key.split(":")[1])) if ":" in key else (1, 0)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterable[Segment]:
        return Text(short_name(self.plain, options.max_width), self.style).__rich_console__(console, options)


class ResultsTable(ListTable):
    """Rows are vectors by their index in the run, then the unsteered model and the random controls."""

    BINDINGS = [Binding("enter", "select_cursor", "Read", tooltip="Go to the completion below, to scroll it")]

    def __init__(self) -> None:
        super().__init__("run-vectors", _COLUMNS, {"name": 16})
        self.border_title = "Vectors of the run"
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
        vector = run.vector(key)
        return self._marks.get(key, ("", vector.name if vector else key))[1]

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
    def _text(run: RunState, key: str) -> str:
        """The completion in a line, or what to do where there is none."""
        generated, lack = run.generated.get(key), run.lack(key)
        text = one_line(answer_of(generated.completion), 400) if generated else ""
        return " ".join(part for part in (lack, text) if part) or "…"

    def _cells(self, run: RunState, key: str) -> dict[str, Text]:
        from core.evaluation.damage import USUAL  # with the metrics, which the first frame does without

        generated = run.generated.get(key)
        colors = self.app.theme_variables
        vector = run.vector(key)
        aside = "" if vector else "dim"
        word = generated.judgement.verdict if generated else ""
        damage = ""
        if generated and generated.completion.perplexity is not None:
            damage = bar(USUAL.damage(generated.judgement.repetition, generated.completion.perplexity), 6)
        dim = aside if generated and not generated.completion.thinking else "dim"
        return {
            "mark": Text(self._marks.get(key, ("", ""))[0], colors["warning"]),
            "name": _Name(self.name_of(run, key), aside, key),
            "effect": Text(bar(run.effect(int(key)), 6) if vector else "", colors["success"]),
            "damage": Text(damage, colors["error"]),
            "verdict": Text(_VERDICT_SIGNS[word], colors["text-error"] if word == BROKEN else colors["text-warning"]),
            "completion": Text(self._text(run, key), dim, no_wrap=True, overflow="ellipsis"),
        }
