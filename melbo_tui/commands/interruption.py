"""The signals that end a command: what is finished is kept, and the exit code tells which it was."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_ENDING = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGTERM") if hasattr(signal, name))


class Stopped(KeyboardInterrupt):
    """A command was ended by the signal `number`, as by Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


class Interruption:
    """Whether a command is to end, and by which signal."""

    number = 0

    def set(self, number: int) -> None:
        """Notes the signal; the first one counts."""
        self.number = self.number or number

    def is_set(self) -> bool:
        return self.number != 0


def stop_at_once(number: int, frame: object) -> None:
    """A handler that ends what is being done, so that what has been opened is closed."""
    raise Stopped(number)


@contextmanager
def handled(handler: Callable[[int, Any], object] = stop_at_once) -> Iterator[None]:
    """`handler` takes the signals that end a command, but those that whoever started it (nohup, `&`) wants ignored."""
    before = {}
    if threading.current_thread() is threading.main_thread():
        for number in _ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
