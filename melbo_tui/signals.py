"""The signals that end the program, and how handlers for them are installed and taken away."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

# By their numbers.
ENDING = tuple(getattr(signal, name) for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM") if hasattr(signal, name))


@contextmanager
def taken(handler: Callable[[int, Any], object]) -> Iterator[None]:
    """`handler` takes them, but those that whoever started the program (nohup, `&`) wants ignored; main thread only."""
    before = {}
    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
