"""A frame that shows whether the focus is within it."""

from __future__ import annotations

from textual.containers import Vertical


class FocusFrame(Vertical):
    """Has the class `-focused` while it, or anything in it, has the focus.

    Textual's `:focus-within` would style all of its descendants anew whenever the focus moves, a tenth of a second for a form.
    """

    def on_mount(self) -> None:
        self.watch(self.screen, "focused", self._show_focus)

    def _show_focus(self) -> None:
        was = self.has_class("-focused")
        if self.has_focus_within != was:
            self.set_class(not was, "-focused", update=False)
            self.app.stylesheet.apply(self, animate=True)
