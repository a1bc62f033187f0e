"""What stands over a pane, and goes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal screen that is dismissed once, however often it is asked to, and takes no other screen with it.

    Textual's pops whatever is on top. A second Enter in the queue, or an attempt that succeeds while another screen lies over
    the dialog, would end that one, or the app.
    """

    _dismissed = False
    _late: Callable[[], object] | None = None

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        if self._dismissed:
            return AwaitComplete()
        self._dismissed = True
        if self.app.screen is self:  # a screen under a modal one counts as current too
            return super().dismiss(result)
        self._late = lambda: super(Dialog, self).dismiss(result)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._late is not None:
            late, self._late = self._late, None
            late()
