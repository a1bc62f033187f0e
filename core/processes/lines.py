"""A process that somebody else wrote, asked and answering in lines of text."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import IO

from core.processes.cancelling import end_if_cancelled

_LOOK_SECONDS = 0.1  # between two looks whether the task that waits is to end
_CLOSING_SECONDS = 2.0
_COMPLAINT = 2000  # bytes of what it complains of that are kept
_AHEAD = 1000  # lines that it may answer before they are taken


class Silent(Exception):
    """No line came within the time that is allowed."""


class TooLong(Exception):
    """A line that is longer than may be taken."""


class LineProcess:
    """`command`, told `lines` and the end of its input behind them, while what it answers is taken line by line.

    All lines are on their way at once, so that it may answer each, or read them all first. `longest`: bytes of a line of its
    answer. Raises OSError where it cannot be started. Closed, it is ended with what it has started.
    """

    def __init__(self, command: Sequence[str], lines: Iterable[bytes], longest: int) -> None:
        # A session of its own: Ctrl+C is not for it, and it is ended with its children.
        self._process = subprocess.Popen(
            list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
        )
        self._longest = longest
        self._answers: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._complaint: deque[int] = deque(maxlen=_COMPLAINT)
        self._closed = threading.Event()
        jobs: list[Callable[[], None]] = [lambda: self._tell(lines), self._take, self._listen]
        self._threads = [threading.Thread(target=job, daemon=True) for job in jobs]
        for thread in self._threads:
            thread.start()

    def line(self, seconds: float) -> bytes | None:
        """The next line of its answer, None behind the last. Raises Silent where none comes within `seconds`, or TooLong, or
        Cancelled within a task that is to end.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                line = self._answers.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                end_if_cancelled()
                if time.monotonic() > end:
                    raise Silent from None
                continue
            if line is not None and len(line) > self._longest:
                raise TooLong
            return line

    def ended(self) -> int | None:
        """Its exit code, once it has ended; None where it goes on without answering."""
        try:
            code = self._process.wait(_CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            return None
        self._threads[-1].join(_CLOSING_SECONDS)
        return code

    @property
    def complaint(self) -> str:
        """The last lines that it wrote to its standard error."""
        return bytes(self._complaint).decode(errors="replace").strip()

    def close(self) -> None:
        self._closed.set()
        with suppress(OSError):  # it has ended
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join(_CLOSING_SECONDS)

    # What its threads do

    def _tell(self, lines: Iterable[bytes]) -> None:
        stdin = _there(self._process.stdin)
        with suppress(OSError), stdin:  # it has ended, or reads no more
            for line in lines:
                stdin.write(line)
                stdin.flush()

    def _take(self) -> None:
        with _there(self._process.stdout) as stdout:
            while line := stdout.readline(self._longest + 1):
                self._put(line)
            self._put(None)

    def _put(self, line: bytes | None) -> None:
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._answers.put(line, timeout=_LOOK_SECONDS)
                return

    def _listen(self) -> None:
        with _there(self._process.stderr) as stderr:
            while some := os.read(stderr.fileno(), 4096):
                self._complaint.extend(some)


def _there(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None
    return stream
