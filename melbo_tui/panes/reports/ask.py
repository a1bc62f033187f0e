"""What a metric is asked with: its conditions, what it is measured on, and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.widgets import Collapsible, Input, Label, Static

from core.errors import SettingsError
from core.evaluation.metric import Metric
from melbo_tui.panes.reports.conditions import Conditions
from melbo_tui.widgets.dialog import Dialog
from melbo_tui.widgets.field import Check, Field, go_to
from melbo_tui.widgets.setting_field import applies, option_fields, values_of
from vectors.expression import Expression
from vectors.plain_text import printable

# What does the work with the conditions, the text, the metric's own settings and those of every metric; why it could not, or
# nothing.
Begin = Callable[[list[Expression], str, dict[str, Any], dict[str, Any]], str]
_CONDITIONS = """What is compared, an expression a line, each a condition of its own: at first the vectors that were marked.
Enter changes a line, or types another; Delete leaves one out. As on the Chat's rack: 2 NAME - !NAME@blocks:all."""


class AskMetric(Dialog[None]):
    """Asks what `metric` is to be measured on (`start` stands there first), for its options, and for the conditions that are
    compared, where those of `conditions` are not all; Enter begins, Escape leaves. `starts` are the options' texts at first,
    by their names, where they are not the defaults.

    `check` raises SettingsError for a text that nothing can be measured on, `check_vector` for a vector's name. The dialog
    closes once `begin` has worked.
    """

    DEFAULT_CSS = """
    AskMetric { align: center middle; }
    AskMetric > Vertical {
        width: 72; max-width: 95%; height: auto; max-height: 90%; padding: 0 1; background: $surface; border: round $primary;
    }
    .-slim AskMetric > Vertical { max-width: 100%; max-height: 100%; }
    AskMetric VerticalScroll { height: auto; max-height: 12; }
    AskMetric Field > Label, AskMetric #compared > Label { width: 14; }
    AskMetric #compared { height: auto; }
    AskMetric #compared > Label { color: $text-muted; }
    AskMetric Conditions { width: 1fr; }
    AskMetric #explained { color: $text-muted; height: auto; max-height: 8; margin-top: 1; }
    AskMetric #explained.-wrong { color: $text-error; }
    """
    BINDINGS = [("escape", "dismiss(None)", "Cancel")]

    def __init__(
        self,
        title: str,
        metric: Metric,
        conditions: Conditions,
        start: str,
        hint: str,
        check: Check,
        check_vector: Check,
        begin: Begin,
        starts: Mapping[str, str],
    ) -> None:
        super().__init__()
        self._title, self._metric, self._hint, self._begin = title, metric, hint, begin
        self._conditions = conditions
        self._on = Field("measured-on", "Questions" if metric.questions else "Prompts", Input(start, compact=True), hint, check)
        self._options = {**metric.options, **metric.general}
        self._fields = option_fields(self._options, check_vector)
        for name in starts.keys() & self._fields.keys():
            self._fields[name].text = starts[name]

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = "Enter measures · Tab to the next · Esc cancels"
            with Horizontal(id="compared"):
                yield Label("Conditions")
                yield self._conditions
            with VerticalScroll(can_focus=False):
                yield self._on
                yield from (field for name, field in self._fields.items() if not self._options[name].option.advanced)
                with Collapsible(title="More settings", id="more"):
                    yield from (field for name, field in self._fields.items() if self._options[name].option.advanced)
            yield Static(f"{self._metric.about}\n\n{self._hint}", id="explained", markup=False)

    def on_mount(self) -> None:
        self._on.entry.focus()

    @on(Field.Left)
    def _left(self) -> None:
        self.dismiss(None)

    @on(Field.Changed)
    @on(Field.Focused)
    def _explain_field(self, event: Field.Changed) -> None:
        field = event.field
        if field.has_focus_within:
            about = f"{self._metric.about}\n\n{self._hint}" if field is self._on else field.about
            self._tell(field.wrong or about, bool(field.wrong))

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if event.widget is self._conditions:
            self._tell(_CONDITIONS, False)

    @on(Input.Submitted)
    def _accepted(self) -> None:
        meant = [field for name, field in self._fields.items() if applies(self._options[name], self._options, self._fields)]
        for field in (self._on, *meant):
            if not field.check():
                go_to(field)
                self._tell(field.wrong, True)
                return
        try:
            given = values_of(self._options, self._fields, lambda line: self.notify(line, markup=False))
            general = {name: given.pop(name) for name in self._metric.general if name in given}
            wrong = self._begin(self._conditions.expressions, self._on.text.strip(), given, general)
        except SettingsError as error:
            wrong = str(error)
        if wrong:
            self._tell(wrong, True)
        else:
            self.dismiss(None)

    def _tell(self, text: str, wrong: bool) -> None:
        explained = self.query_one("#explained", Static)
        explained.set_class(wrong, "-wrong")
        explained.update(printable(text))
