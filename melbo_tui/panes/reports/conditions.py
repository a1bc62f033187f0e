"""The conditions that are measured: an expression a line, which Enter opens, and a last line for one more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import on
from textual.binding import Binding
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from vectors.expression import Expression

ADD = "+ another condition: type an expression"
# Asks for an expression, given the one that is to be changed; calls back with the new one, None to leave it out.
AskExpression = Callable[[Expression, Callable[[Expression | None], None]], None]


class Conditions(OptionList):
    """`expressions` are the conditions, `written` says how each is shown, `ask` has one changed or typed."""

    DEFAULT_CSS = """
    Conditions, Conditions:focus {
        height: auto; max-height: 6; border: none; padding: 0; text-wrap: nowrap; text-overflow: ellipsis;
    }
    """
    BINDINGS = [
        Binding("delete,backspace", "leave_out", "Leave out", show=False),
        Binding("plus", "another", "Another", show=False),
    ]

    def __init__(
        self, expressions: Sequence[Expression], written: Callable[[Expression], str], ask: AskExpression, id: str | None = None
    ) -> None:
        super().__init__(id=id, compact=True)
        self.expressions = list(expressions)
        self._written, self._ask = written, ask

    def on_mount(self) -> None:
        self._fill(len(self.expressions))

    @on(OptionList.OptionSelected)
    def _opened(self, event: OptionList.OptionSelected) -> None:
        event.stop()
        self._change(event.option_index)

    def action_another(self) -> None:
        self._change(len(self.expressions))

    def action_leave_out(self) -> None:
        if self.highlighted is not None:
            self._put(self.highlighted, None)

    def _change(self, place: int) -> None:
        is_there = place < len(self.expressions)
        self._ask(self.expressions[place] if is_there else Expression(), lambda made: self._put(place, made))

    def _put(self, place: int, made: Expression | None) -> None:
        self.expressions[place : place + 1] = [] if made is None else [made]
        self._fill(place if made is None else place + 1)

    def _fill(self, highlighted: int) -> None:
        lines = [*map(self._written, self.expressions), ADD]
        self.clear_options()
        self.add_options([Option(Text(line, no_wrap=True, overflow="ellipsis")) for line in lines])
        self.highlighted = min(highlighted, len(lines) - 1)
