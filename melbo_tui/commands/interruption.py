"""The signals that end a command: what is finished is kept, and the exit code tells which it was."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import causes
from melbo_tui import signals


class Stopped(KeyboardInterrupt):
    """A command was ended by the signal `number`, as by Ctrl-C."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number


def stopped(error: BaseException | None) -> Stopped | None:
    """What ended the command, where `error` came of telling what it had made: to a terminal that is gone, perhaps."""
    return next((one for one in causes(error) if isinstance(one, Stopped)), None)


class Interruption:
    """By which signal a command is to end; 0: by none so far."""

    def __init__(self) -> None:
        self.number = 0

    def take(self, number: int) -> None:
        """It is to end by the signal. Raises Stopped where that is the second."""
        if self.number:
            raise Stopped(number)
        self.number = number


def stop_at_once(number: int, frame: object) -> None:
    """A handler that ends what is being done, so that what has been opened is closed."""
    raise Stopped(number)


@contextmanager
def handled(handler: Callable[[int, Any], object] = stop_at_once) -> Iterator[None]:
    """`handler` takes the signals that end a command, where this is the main thread: no other can take any."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with signals.taken(handler):
        yield
