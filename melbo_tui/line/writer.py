"""The thread that writes to the terminal. Nobody ever waits for it: a terminal that has stopped reading stops only it."""

from __future__ import annotations

import contextlib
import os
import queue
import termios
import threading
import time
from collections.abc import Callable
from typing import IO

# What is written at a time; a frame that is given up ends after so many bytes.
_CHUNK = 512
_DRAIN_SECONDS, _FLUSHED_SECONDS = 0.3, 0.3


class Writer(threading.Thread):
    """Writes to `file`'s descriptor in the order of `write`, in place of Textual's own thread, whose full queue blocks the app.

    Frames are large and come one at a time: the next is made when `free`, so that memory does not grow and no stale frame is
    waited for. `drained`, if set, is called in this thread with the seconds that what was written has taken.
    """

    def __init__(self, file: IO[str]) -> None:
        super().__init__(daemon=True, name="melbo-writer")
        self._file = file
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0  # that have not been written out
        self._dropping = False
        self.gone = False  # there is no terminal any more
        self.drained: Callable[[float], None] | None = None

    @property
    def free(self) -> bool:
        """Whether the terminal has taken all that was written."""
        return self._pending == 0

    def write(self, text: str) -> None:
        """Queues `text`; it is passed over where the terminal is gone."""
        if not self.gone:
            with self._lock:
                self._pending += 1
            self._waiting.put(text.encode("utf-8", "replace"))

    def drop(self) -> None:
        """Gives up what has not been written yet; what is queued from now on is written again."""
        self._dropping = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._waiting.get_nowait()
                self._done()

    def stop(self) -> None:
        """Writes what is queued, as far as the terminal takes it soon, and ends the thread."""
        self._waiting.put(None)
        self.join(0 if self.gone else _DRAIN_SECONDS)
        if self.is_alive() and not self.gone:
            # Whoever reads there stands still: what is in its queue makes room for what puts the terminal back.
            with contextlib.suppress(termios.error, OSError, ValueError):
                termios.tcflush(self._file.fileno(), termios.TCOFLUSH)
            self.join(_FLUSHED_SECONDS)

    def run(self) -> None:
        descriptor = self._file.fileno()
        while (data := self._waiting.get()) is not None:
            self._dropping = False
            began = time.monotonic()
            try:
                for at in range(0, len(data), _CHUNK):
                    if self._dropping or self.gone:
                        _write_all(descriptor, b"\x18")  # CAN ends a sequence that was cut in the middle
                        break
                    _write_all(descriptor, data[at : at + _CHUNK])
            except OSError:  # the terminal is gone, which whoever looks after it is told by other ways
                self.gone = True
            self._done()
            if self.drained is not None and self.free:
                self.drained(time.monotonic() - began)

    def _done(self) -> None:
        with self._lock:
            self._pending -= 1


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
