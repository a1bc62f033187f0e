"""One way out for all who want the program to end: Ctrl+Q, a signal, a terminal that is gone, a crash.

What is being written is put away, the engine ends at its step, the terminal is put back, and the process goes within a bounded
time, finished or not; at once when it is asked a second time.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from melbo_tui.signals import ENDING, taken

# A step that takes longer is given up; a run loses what it did since its last checkpoint.
_LONGEST_STEP_SECONDS = 60.0
# timeout(1) tells its child and then the group it is in, a key that is held down repeats: that is one wish, not two.
_SAME_SIGNAL_SECONDS, _SAME_KEY_SECONDS = 0.25, 1.0
# What the app's thread may take to come to it, and then for it, before it is done without that thread or given up.
_PUTTING_AWAY_SECONDS, _LONGEST_PUTTING_AWAY_SECONDS = 0.3, 10.0
# What the app may take to close its widgets before the process is ended without it.
_CLOSING_SECONDS, _CRASHING_SECONDS = 0.6, 3.0
_LOOK_SECONDS = 0.5


class Leaver(Protocol):
    """What is left: an app with an engine and a terminal. All but `in_the_loop` is called in any thread."""

    def in_the_loop(self, call: Callable[[], object]) -> bool:
        """Calls in the app's thread, soon; False where it has none yet, or none any more."""

    def put_away(self) -> None:
        """Keeps what is being written. Called in the app's thread, unless that is stuck."""

    def crash(self, error: BaseException) -> None:
        """Ends the app by a fault of another thread's. Called in the app's thread."""

    def close_engine(self, seconds: float) -> bool:
        """Ends the engine at its step; False where it is still at it after so long."""

    def finish(self, code: int) -> None:
        """Ends the app, in its thread, with the exit code."""

    def hang_up(self) -> None:
        """The terminal is gone."""

    def restore_terminal(self) -> None:
        """Puts the terminal back at once."""

    @property
    def is_real(self) -> bool:
        """Whether the process is the app's own, to be ended with it."""


class Leaving:
    def __init__(self, app: Leaver) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._begun: float | None = None
        self._gone = False
        self.code = 0

    @property
    def has_begun(self) -> bool:
        return self._begun is not None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Takes the signals that end a program, but those that whoever started it wanted ignored; main thread only."""
        ours, theirs = os.pipe()
        os.set_blocking(theirs, False)
        # The C handler writes the number into the pipe whatever Python is doing; a thread reads it there.
        woken = signal.set_wakeup_fd(theirs, warn_on_full_buffer=False)
        threading.Thread(target=self._listen, args=(ours,), name="melbo-signals", daemon=True).start()
        if os.name == "posix" and os.isatty(0):
            threading.Thread(target=self._watch_terminal, name="melbo-terminal", daemon=True).start()
        hook, threading.excepthook = threading.excepthook, self._thread_failed
        try:
            with taken(lambda number, frame: None):
                yield
        finally:
            threading.excepthook = hook
            signal.set_wakeup_fd(woken)
            os.write(theirs, b"\0")
            os.close(theirs)

    def begin(self, code: int = 0, same_within: float = _SAME_KEY_SECONDS) -> None:
        """Leaves with the exit code, in order the first time, at once the second. Called from any thread."""
        with self._lock:
            if self._begun is not None:
                if time.monotonic() - self._begun > same_within:
                    self._at_once(code)
                return
            self._begun, self.code = time.monotonic(), code
        threading.Thread(target=self._leave, name="melbo-leaving", daemon=True).start()

    def end(self) -> None:
        """Ends the process once the app has ended in order: taking torch apart takes seconds where the machine is busy."""
        if self._begun is not None and self._app.is_real:
            self._at_once(self.code)

    def hung_up(self) -> None:
        """The terminal is gone: leaves, but is never the second to ask, for a line that drops tells of it in several ways."""
        with self._lock:
            if self._gone:
                return
            self._gone = True
        self._app.hang_up()
        self.begin(128 + signal.SIGHUP, same_within=float("inf"))

    def crashed(self) -> None:
        """The app is ending by a fault, which it tells itself: keeps what there is, and sees to it that it does end."""
        with self._lock:
            if self._begun is not None:
                return
            self._begun, self.code = time.monotonic(), 1
        with contextlib.suppress(Exception):
            self._app.put_away()
        threading.Thread(target=self._end_crashed, name="melbo-leaving", daemon=True).start()

    def _thread_failed(self, failed: threading.ExceptHookArgs) -> None:
        """A thread that dies of a fault has left its work undone, and the app would wait for it."""
        error = failed.exc_value
        if error is None or not self._app.in_the_loop(lambda: self._app.crash(error)):
            threading.__excepthook__(failed)

    def _listen(self, pipe: int) -> None:
        """Reads numbers of signals as they come; 0 ends it."""
        with open(pipe, "rb", buffering=0) as numbers:
            while number := (numbers.read(1) or b"\0")[0]:
                if number == getattr(signal, "SIGHUP", None):
                    self._hung_up_by_signal()
                elif number in ENDING:
                    self.begin(128 + number, _SAME_SIGNAL_SECONDS)

    def _hung_up_by_signal(self) -> None:
        """SIGHUP comes from whoever wants it to; whether the terminal is gone is another matter."""
        if os.isatty(0):
            self.begin(128 + signal.SIGHUP, same_within=float("inf"))
        else:
            self.hung_up()

    def _watch_terminal(self) -> None:
        """The signal goes to the terminal's first process; one that keeps it to itself, as make does, leaves us to look."""
        poll = select.poll()
        poll.register(0, 0)
        while not poll.poll(1000 * _LOOK_SECONDS) and os.isatty(0):
            pass
        self.hung_up()

    def _leave(self) -> None:
        begun, away = threading.Lock(), threading.Event()

        def put_away() -> None:
            if not begun.acquire(blocking=False):  # the other thread is at it, and two would write over each other
                return
            with contextlib.suppress(Exception):  # what cannot be kept must not keep the rest from being
                self._app.put_away()
            away.set()

        if not self._app.in_the_loop(put_away):
            self._at_once(self.code)
            return
        closed = self._app.close_engine(_LONGEST_STEP_SECONDS)
        if not away.wait(_PUTTING_AWAY_SECONDS):
            put_away()
            away.wait(_LONGEST_PUTTING_AWAY_SECONDS)
        # Nothing is left that could be lost. Whoever sent a signal waits; and an engine that was left behind in its step, or a
        # look-up that hangs, would hold the process for ever.
        if self._app.is_real and (self.code or not closed):
            self._at_once(self.code)
        self._app.in_the_loop(lambda: self._app.finish(self.code))
        if self._app.is_real:
            time.sleep(_CLOSING_SECONDS)
            self._at_once(self.code)

    def _end_crashed(self) -> None:
        self._app.close_engine(_LONGEST_STEP_SECONDS)
        if self._app.is_real:
            time.sleep(_CRASHING_SECONDS)
            self._at_once(1)

    def _at_once(self, code: int) -> None:
        self._app.restore_terminal()
        if self._app.is_real:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(Exception):
                    stream.flush()
            os._exit(code)
