"""The line in which an expression is typed: what is wrong stands under its column, Tab completes names and what follows @."""

from __future__ import annotations

from collections.abc import Callable

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.timer import Timer
from textual.widgets import Input, Static

from melbo_tui.widgets.dialog import Dialog
from vectors.expression import ExpressionError, Replacement, completions
from vectors.plain_text import one_line

_SHOWN = 8  # completions
_CHECK_AFTER = 0.3  # seconds without a keystroke: to look for a name among ten thousand takes longer than typing a letter
_HINT = "1.5 NAME - 0.5 NAME@generated + !NAME@blocks:all"


class ExpressionLine(Dialog[str | None]):
    """Asks for an expression; gives its text, '' for none, or None where Escape leaves it.

    `check` raises ExpressionError for a text that cannot steer; `names` are what is completed.
    """

    DEFAULT_CSS = """
    ExpressionLine { align: center middle; }
    ExpressionLine > Vertical {
        width: 96; max-width: 98%; height: auto; max-height: 96%; padding: 0 1; background: $surface; border: round $primary;
    }
    ExpressionLine #wrong { color: $text-error; height: auto; max-height: 11; }
    ExpressionLine #offered { color: $text-muted; height: auto; max-height: 8; }
    """
    BINDINGS = [("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self, text: str, names: list[str], check: Callable[[str], object], title: str = "Steer with", accepts: str = "steers"
    ) -> None:
        super().__init__()
        self._text, self._names, self._check, self._title, self._accepts = text, names, check, title, accepts
        self._offered: list[Replacement] = []
        self._chosen = 0
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = f"Enter {self._accepts} · Tab completes · Esc cancels"
            yield Input(self._text, placeholder=_HINT, compact=True, select_on_focus=False)
            yield Static("", id="wrong", markup=False)
            yield Static("", id="offered", markup=False)

    def on_mount(self) -> None:
        self.watch(self._line, "cursor_position", self._offer, init=False)
        self._offer()

    @on(Input.Changed)
    def _changed(self) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_CHECK_AFTER, lambda: self._show_wrong(self._wrong()))
        self._offer()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        wrong = self._wrong()
        if wrong is not None:
            self._show_wrong(wrong)
        else:
            self.dismiss(self._line.value.strip())

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("tab", "up", "down"):
            return
        event.prevent_default()
        event.stop()
        if event.key == "tab" and self._offered:
            chosen, line = self._offered[self._chosen], self._line
            line.value = chosen.applied(line.value)
            line.cursor_position = chosen.start + len(chosen.text)
        elif self._offered:
            self._chosen = (self._chosen + (1 if event.key == "down" else -1)) % len(self._offered)
            self._show_offered()

    @property
    def _line(self) -> Input:
        return self.query_one(Input)

    def _wrong(self) -> ExpressionError | None:
        if not self._line.value.strip():
            return None
        try:
            self._check(self._line.value)
        except ExpressionError as error:
            return error
        return None

    def _show_wrong(self, wrong: ExpressionError | None) -> None:
        shown = ""
        if wrong is not None:
            width = max(self._line.size.width, 8)
            shown = "\n".join((*(wrong.lines(width) if wrong.column else ()), one_line(wrong.wrong, 800)))
        self.query_one("#wrong", Static).update(shown)

    def _offer(self) -> None:
        line = self._line
        self._offered, self._chosen = completions(line.value, line.cursor_position, self._names), 0
        self._show_offered()

    def _show_offered(self) -> None:
        text = Text()
        first = max(self._chosen - _SHOWN + 1, 0)
        for place, one in list(enumerate(self._offered))[first : first + _SHOWN]:
            text.append(f"{one_line(one.text, 80)}\n", "bold" if place == self._chosen else "")
        self.query_one("#offered", Static).update(text)
