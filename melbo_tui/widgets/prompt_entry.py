"""Where a prompt is written: Enter is done with it, as in a message line, though it may have several lines."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message
from textual.widgets import TextArea


class PromptEntry(TextArea):
    """Posts `Submitted` on Enter; Ctrl+J breaks the line, and so does Shift+Enter where the terminal tells it from Enter."""

    # Before the text area's own keys, of which Enter is one that breaks the line.
    BINDINGS = [
        Binding("enter", "submit", "Start", priority=True),
        Binding("ctrl+j,shift+enter", "break_line", "New line", priority=True),
        Binding("ctrl+underscore", "undo", "Undo", show=False),  # Ctrl+Z is the shell's
    ]

    class Submitted(Message):
        pass

    def __init__(self, text: str, placeholder: str) -> None:
        super().__init__(text, compact=True, tab_behavior="focus", placeholder=placeholder)
        self.move_cursor(self.document.end)

    def action_submit(self) -> None:
        self.post_message(self.Submitted())

    def action_break_line(self) -> None:
        self.replace("\n", *self.selection)
