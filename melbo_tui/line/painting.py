"""When the terminal is painted: at a frame clock, at once after a key, and never before the last frame was taken."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rich.console import RenderableType
from textual._ansi_sequences import SYNC_END, SYNC_START
from textual._compositor import CompositorUpdate, LayoutUpdate
from textual.app import App
from textual.events import Resize
from textual.geometry import Size
from textual.messages import TerminalSupportsSynchronizedOutput
from textual.screen import Screen
from textual.timer import Timer

from melbo_tui.line.cells import Cells

_AT_HAND_SECONDS = 0.25  # after a key, frames go out as they are made
_ANSWER_SECONDS = 2.0  # a terminal that does not answer in time is not waited for
_SLOW_SECONDS, _SLOW_FRAMES = 0.5, 3
_MOST_DEBT_SECONDS = 3.0
_SETTLING_SECONDS = 0.25
_ASK = "\x1b[?2026$p"  # the terminal answers it when it has read all that was written before


@dataclass(frozen=True)
class Allowance:
    """At most a frame every `interval` seconds, and on average `rate` bytes a second."""

    interval: float
    rate: float


NORMAL = Allowance(1 / 6, 40_000)
LOW = Allowance(1.0, 6_000)


class Line(Protocol):
    """A driver that paints on a terminal.

    `touched` is when the last key or click came, on time.monotonic's clock; `drained` is called, in the writer's thread, with
    the seconds that a frame took to be written.
    """

    touched: float
    drained: Callable[[float], None] | None

    @property
    def free(self) -> bool:
        """Whether a frame can be written now."""

    def write(self, data: str) -> None: ...

    def hang_up(self) -> None:
        """The terminal is gone. Called from any thread."""

    def restore(self) -> None:
        """Puts the terminal back as it was, at once and from any thread."""


class Painter:
    """Keeps what the app wants shown, and writes what has changed of it when the clock and the terminal allow."""

    def __init__(self, app: LineApp, driver: Line) -> None:
        self._app, self._driver = app, driver
        self._cells = Cells()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._next = 0.0
        self._cursor = (-1, -1)
        self._asked: float | None = None
        self._slow = 0
        self._screen: Screen[object] | None = None  # the one of which all is in the cells
        driver.drained = self._tell_drained

    def paint(self, screen: Screen[object], update: CompositorUpdate) -> None:
        """Takes in what the compositor of the active `screen` paints, to be shown when it is due."""
        if screen._compositor.size != self._app.size:
            return  # the terminal has another size by now; the screen is about to be laid out for it
        if screen is not self._screen:  # a part of it would stand among what was there before
            self._screen = screen
            if not isinstance(update, LayoutUpdate):
                update = screen._compositor.render_full_update()
        self._cells.resize(*self._app.size)
        self._cells.take(update, self._app.console)
        self._due()

    def repaint(self) -> None:
        """What the terminal shows is not known: all is written again."""
        self._cells.forget()
        self._cursor, self._asked, self._next = (-1, -1), None, 0.0
        self._due()

    def resized(self, size: Size) -> None:
        """The terminal has this size, and had another, if only for a moment: what it shows is not known."""
        self._screen = None
        if size == (self._cells.width, self._cells.height):
            self.repaint()  # or nothing would be painted; another size is laid out and painted anew

    def answered(self) -> None:
        """The terminal has read the last frame."""
        if self._asked is not None:
            self._taken_in(time.monotonic() - self._asked)
            self._asked = None
            self._due()

    def _due(self) -> None:
        now = time.monotonic()
        at_hand = now - self._driver.touched < _AT_HAND_SECONDS
        wait = 0.0 if at_hand else self._next - now
        if self._asked is not None and not at_hand:
            wait = max(wait, self._asked + _ANSWER_SECONDS - now)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if wait > 0:
            self._timer = self._loop.call_later(wait, self._due)
        elif self._driver.free:  # else it tells when it is
            self._show(now)

    def _tell_drained(self, seconds: float) -> None:
        """Called in the writer's thread, which may outlive the loop."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._drained, seconds)

    def _drained(self, seconds: float) -> None:
        self._taken_in(seconds)
        self._due()

    def _taken_in(self, seconds: float) -> None:
        """Takes the seconds that a frame was on its way; several slow ones in a row make a slow line."""
        if seconds > _SLOW_SECONDS:
            self._slow += 1
            if self._slow == _SLOW_FRAMES:
                self._app.line_is_slow()
        elif seconds > _SLOW_SECONDS / 5:
            self._slow = max(self._slow - 1, 0)

    def _show(self, now: float) -> None:
        text = self._cells.changes()
        cursor = self._app.screen.outer_size.clamp_offset(self._app.cursor_position)
        if not text and cursor == self._cursor:
            return
        self._cursor = cursor
        text += f"\x1b[{cursor[1] + 1};{cursor[0] + 1}H"
        if self._app.synchronised:
            if self._asked is None:
                self._asked = now
                text += _ASK
            text = SYNC_START + text + SYNC_END
        allowance = self._app.allowance
        # A frame is paid for by the time until the next; a key's is not held back, but paid for as well.
        debt = min(max(self._next - now, 0.0) + len(text.encode("utf-8", "replace")) / allowance.rate, _MOST_DEBT_SECONDS)
        self._next = now + max(allowance.interval, debt)
        self._driver.write(text)


class LineApp(App[None]):
    """An app that is sparing with its line: what it paints goes through a `Painter` where it has a real terminal."""

    allowance = NORMAL
    _painter: Painter | None = None
    _settling: Timer | None = None

    @property
    def synchronised(self) -> bool:
        """Whether the terminal takes a frame as one, and answers when it is asked whether it does."""
        return self._sync_available

    def line_is_slow(self) -> None:
        """Called once, when several frames have taken long to be shown."""

    def line_is_gone(self) -> None:
        """Called, in any thread, when the terminal can be read no more."""

    def cannot_suspend(self) -> None:
        """Called when Ctrl+Z did not stop it."""

    def repaint(self) -> None:
        """Writes the whole screen again."""
        if self._painter is not None:
            self._painter.repaint()

    def on_resize(self, event: Resize) -> None:
        if self._painter is not None:
            self._painter.resized(event.size)  # the app's own is still the one before
            if self._settling is not None:
                self._settling.stop()
            self._settling = self.set_timer(_SETTLING_SECONDS, self._paint_anew)

    def _paint_anew(self) -> None:
        """Once sizes have settled: of several in a row Textual tells its screens the last, which may be the one they had."""
        if self._painter is not None:
            self._painter.resized(self.size)
        self.screen.refresh(layout=True)

    @property
    def _line_driver(self) -> Line | None:
        """The driver, where it is one that paints on a terminal."""
        return self._driver if getattr(self._driver, "paints", False) else None  # type: ignore[return-value]

    def _display(self, screen: Screen[object], renderable: RenderableType | None) -> None:
        driver = self._line_driver
        shows = self._running and not self._closed and not self._batch_count
        update: object = renderable
        if driver is None or not shows or not isinstance(update, CompositorUpdate):
            super()._display(screen, renderable)
            return
        try:
            if self._painter is None:
                self._painter = Painter(self, driver)
            self._painter.paint(screen, update)
        finally:
            self.post_display_hook()

    def _on_terminal_supports_synchronized_output(self, message: TerminalSupportsSynchronizedOutput) -> None:
        if self._painter is not None:
            self._painter.answered()
