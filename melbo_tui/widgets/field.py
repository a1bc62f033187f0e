"""A field of a form: a label, an entry, a check made while one types, and an explanation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Collapsible, Input, Label, Select, TextArea

from core.errors import SettingsError

Check = Callable[[str], object]


class Field(Horizontal):
    """`check` reads the text and raises SettingsError for what cannot be; `explanation` is shown while it has the focus, with
    what the text comes to where `told` says so.

    Posts `Left` on Escape: whoever types has no other key to get out by.
    """

    BINDINGS = [Binding("escape", "leave", "Leave", tooltip="Out of the form, to the list")]

    DEFAULT_CSS = """
    Field { height: 1; }
    Field.-tall { height: 3; }
    Field > Label { width: 11; color: $text-muted; }
    Field > Input, Field > TextArea, Field > Select { width: 1fr; }
    Field > TextArea { padding: 0; }
    Field.-wrong > Label { color: $text-error; text-style: bold; }
    Field.-focused > Label { color: $text; text-style: bold; }
    """

    class Changed(Message):
        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

    class Focused(Changed):
        pass

    class Left(Message):
        pass

    def __init__(
        self,
        name: str,
        label: str,
        entry: Widget,
        explanation: str,
        check: Check = str,
        told: Callable[[str], str] | None = None,
    ) -> None:
        super().__init__(id=f"field-{name}")
        self.key, self.entry, self.explanation = name, entry, explanation
        self._label, self._check, self._told = label, check, told
        self.wrong = ""
        if isinstance(entry, TextArea):
            self.add_class("-tall")

    def compose(self) -> ComposeResult:
        if self.display:
            yield from self._parts()

    async def complete(self) -> None:
        """Composes one that was not displayed when the form was, which is most of the time that composing a form takes."""
        if not self.children:
            await self.mount(*self._parts())

    def _parts(self) -> tuple[Widget, ...]:
        return Label(self._label), self.entry

    @property
    def text(self) -> str:
        """What the field holds."""
        entry = self.entry
        if isinstance(entry, TextArea):
            return entry.text
        assert isinstance(entry, (Input, Select))
        return str(entry.value if isinstance(entry, Input) else entry._value)  # it has a `value` from when it is mounted on

    @text.setter
    def text(self, text: str) -> None:
        entry = self.entry
        if isinstance(entry, TextArea):
            entry.text = text
        elif isinstance(entry, Select):
            if text in [value for _, value in entry._options] and entry.is_attached:
                entry.value = text
            elif text in [value for _, value in entry._options]:
                entry._value = text  # which it takes when it is mounted
        elif isinstance(entry, Input):
            entry.value = text

    @property
    def about(self) -> str:
        """What is shown of a field whose text can be used."""
        told = self._told(self.text) if self._told is not None and not self.wrong else ""
        return f"{self.explanation}\n\n{told[:1].upper()}{told[1:]}" if told else self.explanation

    def check(self) -> bool:
        """Checks the text, marks the field, and says whether it can be used."""
        try:
            self._check(self.text)
            self.wrong = ""
        except SettingsError as error:
            self.wrong = str(error) + (f": {error.remedy}" if error.remedy else "")
        self.set_class(bool(self.wrong), "-wrong")
        return not self.wrong

    @on(Input.Changed)
    @on(TextArea.Changed)
    @on(Select.Changed)
    def _changed(self, event: Message) -> None:
        event.stop()
        self.check()
        self.post_message(self.Changed(self))

    def on_descendant_focus(self) -> None:
        self._show_focus()
        self.post_message(self.Focused(self))

    def on_descendant_blur(self) -> None:
        self._show_focus()

    def _show_focus(self) -> None:
        self.set_class(self.has_focus_within, "-focused")  # by now the focus may be elsewhere

    def action_leave(self) -> None:
        self.post_message(self.Left())


def go_to(field: Field) -> None:
    """Gives it the focus, unfolding what it is folded away in."""
    for fold in field.ancestors:
        if isinstance(fold, Collapsible) and fold.collapsed:
            fold.collapsed = False
            field.call_after_refresh(field.entry.focus)
            return
    field.entry.focus()


def choice(options: Sequence[tuple[str, str]], value: str | None = None) -> Select[str]:
    """A field's entry for one of (label, value) pairs; it holds `value`, or the first of them."""
    return Select(options, value=options[0][1] if value is None else value, allow_blank=False, compact=True)
