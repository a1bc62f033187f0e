"""Textual's terminal driver, but that a terminal that stands still, is gone, or was left for the shell never holds the app.

Ctrl+Z stops the whole job, the training with it, as it stops any program of the shell's; `bg` lets the training go on unseen,
`fg` brings the screen back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import termios
import time
from collections.abc import Callable
from typing import Any

from textual.drivers import linux_driver
from textual.drivers.linux_driver import LinuxDriver
from textual.message import Message

from melbo_tui.line.painting import LineApp
from melbo_tui.line.writer import Writer
from melbo_tui.nowhere import send_nowhere

_LOOK_SECONDS = 0.3
_STOP_SECONDS = 0.1  # that a job takes, at most, to be stopped
# What Textual forgets to switch off: a frame that was cut, mouse reports in pixels.
_FORGOTTEN = "\x1b[?2026l\x1b[0m\x1b[?1016l"
# All that may have been switched on. The keyboard's protocol is a stack: taken off once, or the shell's own would go as well.
_RESTORED = _FORGOTTEN + (
    "\x1b[?2004l\x1b[?7h\x1b[?2048l\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[<u\x1b[?1049l\x1b[?25h\x1b[?1004l"
)

setattr(linux_driver, "WriterThread", Writer)  # noqa: B010  the base makes its writer where it starts


class LineDriver(LinuxDriver):
    """`touched` is when the last key or click came, on time.monotonic's clock."""

    paints = True
    _app: LineApp
    _writer_thread: Writer | None  # type: ignore[assignment]

    def __init__(self, app: LineApp, **options: Any) -> None:
        super().__init__(app, **options)
        self.touched = 0.0
        self.drained: Callable[[float], None] | None = None
        self._away = True  # the terminal is the shell's, or on its way there
        self._restored = True
        self._continued = False
        self._lost = False

    # Writing

    @property
    def free(self) -> bool:
        """Whether a frame can be written now."""
        return not self._away and self._writer_thread is not None and self._writer_thread.free

    def write(self, data: str) -> None:
        if self._writer_thread is not None:
            self._writer_thread.write(data)

    def _get_terminal_size(self) -> tuple[int, int]:
        """Columns and rows of the terminal itself: COLUMNS and LINES, where the shell exports them, do not follow a resize."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            columns, rows = os.get_terminal_size(self._file.fileno())  # type: ignore[union-attr]
            if columns and rows:
                return columns, rows
        return super()._get_terminal_size()

    def start_application_mode(self) -> None:
        self._restored = False
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._away = False
        if self._writer_thread is not None:
            self._writer_thread.drained = self._drained

    def _drained(self, seconds: float) -> None:
        if self.drained is not None:
            self.drained(seconds)

    def stop_application_mode(self) -> None:
        if self._away:
            return
        self._away = True
        if self._writer_thread is not None:
            self._writer_thread.drop()
        self.write(_FORGOTTEN)
        super().stop_application_mode()
        self._restored = True

    def restore(self) -> None:
        """Puts the terminal back as it was, at once and from any thread, so far as it can still be told."""
        writer = self._writer_thread
        if self._lost or writer is None:
            return
        self._away = True
        if self.attrs_before is not None:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(self.fileno, termios.TCSANOW, self.attrs_before)
        if not self._restored:
            writer.drop()
            writer.write(_RESTORED)
        writer.stop()

    def close(self) -> None:
        super().close()
        self._writer_thread = None

    # Reading

    def _run_input_thread(self) -> None:
        try:
            self.run_input_thread()
        except OSError:
            self._app.line_is_gone()
        except BaseException:
            super()._run_input_thread()

    def process_message(self, message: Message) -> None:
        self.touched = time.monotonic()
        super().process_message(message)

    def hang_up(self) -> None:
        """The terminal is gone: what is still written or read goes nowhere. Called from any thread."""
        self._lost = True
        if self._writer_thread is not None:
            self._writer_thread.gone = True
        self.exit_event.set()  # or the input thread would read the end of its input over and over
        send_nowhere(0, 1, 2)

    # The shell's job control

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self.suspend)

    def _sigcont_application(self, *_: object) -> None:
        self._continued = True
        # Stopped by SIGSTOP, it could not leave in order: the shell has set the terminal as it wants it.
        if not self._away and not self._lost:
            self._loop.call_soon_threadsafe(self._enter_again)

    def suspend(self) -> None:
        """Gives the terminal back to the shell and stops the whole job; comes back when it is in the foreground again."""
        if self._away or self._lost:
            return
        self.suspend_application_mode()
        self._continued = False
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # The whole group, as a terminal's own Ctrl+Z: make would wait for ever for a child that alone is stopped. The kernel
        # passes over it where no shell could bring the job back.
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        time.sleep(_STOP_SECONDS)
        signal.signal(signal.SIGTSTP, self._sigtstp_application)
        self._come_back()
        if not self._continued:
            self._app.call_later(self._app.cannot_suspend)

    def _enter_again(self) -> None:
        if not self._away and not self._lost:
            self.suspend_application_mode()
            self._come_back()

    def _come_back(self) -> None:
        """Takes the terminal over once the job is in the foreground."""
        if self._lost:
            return
        with contextlib.suppress(OSError):
            if os.tcgetpgrp(self.fileno) != os.getpgrp():
                self._loop.call_later(_LOOK_SECONDS, self._come_back)
                return
        self.resume_application_mode()
        self._app.repaint()
