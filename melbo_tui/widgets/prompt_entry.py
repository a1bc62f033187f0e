"""Where a prompt is written: Enter is done with it, as in a message line, though it may have several lines."""

from __future__ import annotations

from textual.events import Key
from textual.message import Message
from textual.widgets import TextArea


class PromptEntry(TextArea):
    """Posts `Submitted` on Enter; Ctrl+J breaks the line, and so does Shift+Enter where the terminal tells it from Enter."""

    class Submitted(Message):
        pass

    def __init__(self, text: str, placeholder: str) -> None:
        super().__init__(text, compact=True, tab_behavior="focus", placeholder=placeholder)
        self.move_cursor(self.document.end)

    def _on_key(self, event: Key) -> None:  # type: ignore[override]  # each class's own is called, this one first
        if event.key == "enter":
            self.post_message(self.Submitted())
        elif event.key in ("ctrl+j", "shift+enter"):
            self.replace("\n", *self.selection)
        else:
            return
        event.stop()
        event.prevent_default()
