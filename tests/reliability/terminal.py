"""The real program on a pseudo-terminal of its own: what it writes, byte by byte with the time, and the screen it makes."""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

import pyte

_STALE_SIZE = {"COLUMNS": "80", "LINES": "24"}
PROGRAM = [sys.executable, "-m", "melbo_tui"]


def _as_a_login() -> None:
    """In the new process: the terminal is its own, and no signal is ignored because whoever runs the tests ignores it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


class Terminal:
    """A command on a pseudo-terminal of `columns` x `rows` cells. To be used with `with`, which ends what still runs.

    With `answers` it says that it has synchronised output and resizes in the band; it takes `rate` bytes a second.
    `written` holds everything that came, `reads` (seconds since the start, bytes) as they came; both grow in a thread.
    """

    def __init__(
        self,
        command: Sequence[str],
        columns: int = 120,
        rows: int = 40,
        environment: Mapping[str, str] | None = None,
        answers: bool = False,
        rate: float | None = None,
    ) -> None:
        self._ours, theirs = os.openpty()
        self._size(theirs, columns, rows)
        self.before = termios.tcgetattr(theirs)
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            # A shell that exports COLUMNS and LINES says what they were when it started.
            env={**os.environ, **_STALE_SIZE, "TERM": "xterm-256color", "OMP_NUM_THREADS": "1", **(environment or {})},
            preexec_fn=_as_a_login,
        )
        self._theirs = theirs  # held, so that what was set on it can still be asked for
        self.written = bytearray()
        self.reads: list[tuple[float, int]] = []
        self._reading = threading.Event()
        self._reading.set()
        self._screen = pyte.Screen(columns, rows)
        self._fed, self._stream = 0, pyte.ByteStream(self._screen)
        self._closed = False
        self._answers, self.rate = answers, rate
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._reading.set()
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.hang_up()

    def _read(self) -> None:
        while not self._closed:
            # Never in a read when the terminal is closed: the next one may get the same descriptor.
            if not self._reading.wait(0.05) or not select.select([self._ours], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self._ours, 65536 if self.rate is None else max(int(self.rate / 10), 1))
                end = bytes(self.written[-8:]) + data  # a question may come in two parts
                for mode in re.findall(rb"\x1b\[\?(2026|2048)\$p", end) if self._answers else ():
                    os.write(self._ours, b"\x1b[?%b;2$y" % mode)
            except OSError:
                return
            if self.rate is not None:
                time.sleep(len(data) / self.rate)
            self.written += data
            self.reads.append((time.monotonic() - self.began, len(data)))

    @staticmethod
    def _size(terminal: int, columns: int, rows: int) -> None:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns: int, rows: int) -> None:
        self.screen()
        self._size(self._ours, columns, rows)
        self._screen.resize(rows, columns)

    def send(self, keys: str | bytes) -> None:
        os.write(self._ours, keys.encode() if isinstance(keys, str) else keys)

    def stop_reading(self, stopped: bool = True) -> None:
        """A reader that stands still: what is written stays in the terminal's queue."""
        (self._reading.clear if stopped else self._reading.set)()

    def signal(self, number: signal.Signals) -> None:
        """To the whole process group, as a terminal sends it."""
        os.killpg(self.process.pid, number)

    def hang_up(self) -> None:
        """The line drops: the terminal is gone."""
        if not self._closed:
            self._closed = True
            self._reader.join()
            os.close(self._ours)
            os.close(self._theirs)

    def screen(self) -> str:
        """What a person sees now."""
        new = bytes(self.written[self._fed :])
        self._fed += len(new)
        self._stream.feed(new)
        # Not its own `display`, which fails where the second half of a wide character stands alone.
        rows = (self._screen.buffer[y] for y in range(self._screen.lines))
        return "\n".join("".join(row[x].data for x in range(self._screen.columns)) for row in rows)

    def line_with(self, *texts: str) -> list[pyte.screens.Char]:
        """The cells of the first line that has all of `texts`, as `screen` last read it."""
        row = next(y for y, line in enumerate(self._screen.display) if all(text in line for text in texts))
        return [self._screen.buffer[row][x] for x in range(self._screen.columns)]

    def wait_for(self, text: str, seconds: float = 30) -> str:
        """The screen, once `text` stands on it. Raises AssertionError where it does not come."""
        end = time.monotonic() + seconds
        while text not in (shown := self.screen()):
            if time.monotonic() > end or (self.process.poll() is not None and self._fed == len(self.written)):
                raise AssertionError(f"{text!r} did not come (exit code {self.process.poll()}); the screen:\n{shown}")
            time.sleep(0.02)
        return shown

    def wait_end(self, seconds: float = 30) -> float:
        """Seconds until the process ended. Raises subprocess.TimeoutExpired where it does not."""
        began = time.monotonic()
        self.process.wait(seconds)
        return time.monotonic() - began

    def modes_left_on(self) -> set[int]:
        """Private modes that were switched, and not back: alternate screen, mouse reports, bracketed paste, a hidden cursor."""
        last: dict[int, bool] = {}
        for numbers, letter in re.findall(rb"\x1b\[\?([\d;]+)([hl])", bytes(self.written)):
            for number in numbers.split(b";"):
                last[int(number)] = letter == b"h"
        return {number for number, on in last.items() if on != (number in (7, 25))}

    def echoes(self) -> bool:
        """Whether the terminal is as it was: echo, line by line."""
        return termios.tcgetattr(self._theirs)[3] == self.before[3]

    def bytes_between(self, start: float, end: float) -> int:
        """Bytes written from `start` to `end`, seconds on time.monotonic's clock."""
        return sum(size for at, size in self.reads if start <= at + self.began < end)
