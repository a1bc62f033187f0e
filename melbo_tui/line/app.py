"""The app's side of the terminal: how often it paints, and how it leaves."""

from __future__ import annotations

import os
from collections.abc import Callable

from textual import constants
from textual.css.query import NoMatches
from textual.driver import Driver
from textual.widget import MountError
from textual.widgets import Input, TextArea

from melbo_tui.line.leaving import Leaving
from melbo_tui.line.painting import LOW, NORMAL, LineApp

# A cursor that blinks is bytes for ever, over somebody's SSH. It is the reactive's default, for Textual's own fields too.
for _field in (Input, TextArea):
    _field.__dict__["cursor_blink"]._default = False


class TerminalApp(LineApp):
    """An app on a terminal that may be slow, stand still, or go; what `leaving` calls is as its `Leaver` says."""

    def __init__(self) -> None:
        super().__init__()
        self.leaving = Leaving(self)
        self._low_bandwidth = False

    def get_driver_class(self) -> type[Driver]:
        if constants.DRIVER is None and os.name == "posix":
            from melbo_tui.line.driver import LineDriver

            return LineDriver
        return super().get_driver_class()

    # How sparing it is

    @property
    def low_bandwidth(self) -> bool:
        """Whether it is painted once a second, within 6 KB/s, and nothing moves."""
        return self._low_bandwidth

    @low_bandwidth.setter
    def low_bandwidth(self, low: bool) -> None:
        self._low_bandwidth = low
        self.allowance = LOW if low else NORMAL
        self.animation_level = "none" if low else constants.TEXTUAL_ANIMATIONS

    def line_is_slow(self) -> None:
        if not self.low_bandwidth:
            remedy = "Ctrl+P, Low bandwidth, paints once a second; it is remembered."
            self.notify(f"What is painted takes long to arrive. {remedy}", title="The line is slow", timeout=20)

    def line_is_gone(self) -> None:
        self.leaving.hung_up()

    # How it leaves

    def put_away(self) -> None:
        """Keeps what is being written."""

    def close_engine(self, seconds: float) -> bool:
        return True

    def in_the_loop(self, call: Callable[[], object]) -> bool:
        return self._running and self.call_later(call)

    def finish(self, code: int) -> None:
        self.exit(return_code=code)

    def hang_up(self) -> None:
        if (driver := self._line_driver) is not None:
            driver.hang_up()

    def restore_terminal(self) -> None:
        if (driver := self._line_driver) is not None:
            driver.restore()

    @property
    def is_real(self) -> bool:
        return self._driver is None or self._line_driver is not None

    def crash(self, error: BaseException) -> None:
        """Ends the app by a fault of another thread's, told as its own are."""
        try:
            raise error
        except Exception as again:
            self._handle_exception(again)

    def _handle_exception(self, error: Exception) -> None:
        if self.leaving.has_begun and isinstance(error, (NoMatches, MountError)):
            return  # of widgets that were still being composed when the app was left
        self.leaving.crashed()
        super()._handle_exception(error)

    async def action_quit(self) -> None:
        self.leaving.begin()

    def cannot_suspend(self) -> None:
        self.notify("There is no shell to come back from: Ctrl+Z suspends where melbo-tui was started from one.")
