"""What stands over a pane, and goes once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen, Screen

T = TypeVar("T")
if TYPE_CHECKING:
    _Base = Screen[Any]
else:
    _Base = object


class DismissedOnce(_Base):
    """For a screen: it is dismissed once, however often it is asked to, and takes no other screen with it.

    Textual's pops whatever is on top. A second Enter or Escape in the queue, or an attempt that succeeds while another screen
    lies over the dialog, would end that one, or the app.
    """

    _dismissed = False
    _late: Callable[[], object] | None = None

    def dismiss(self, result: Any = None) -> AwaitComplete:
        if self._dismissed:
            return AwaitComplete()
        self._dismissed = True
        if self.app.screen is self:  # a screen under a modal one counts as current too
            return super().dismiss(result)
        self._late = lambda: super(DismissedOnce, self).dismiss(result)
        return AwaitComplete()

    def on_screen_resume(self) -> None:
        if self._late is not None:
            late, self._late = self._late, None
            late()


class Dialog(DismissedOnce, ModalScreen[T]):
    """A modal screen of ours."""
