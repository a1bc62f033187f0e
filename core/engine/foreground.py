"""The engine without a thread of its own: a task is carried out by whoever waits for it, as commands do."""

from __future__ import annotations

import queue
import time

from core.engine.handle import Handle
from core.engine.session import Session
from core.engine.stepping import Stepper


class Foreground(Stepper):
    """Carries out what it is asked for in the thread that waits for it; each event is told as it comes, unmerged."""

    def __init__(self, session: Session) -> None:
        super().__init__(session, interval=None)

    def wait_for(self, handle: Handle, seconds: float | None) -> None:
        """Makes steps until the task has ended, or for so many seconds. KeyboardInterrupt closes all tasks and is raised on."""
        end = None if seconds is None else time.monotonic() + seconds
        try:
            while not handle.done and (end is None or time.monotonic() < end):
                if (task := self._choose()) is not None:
                    self._step(task)
                    continue
                try:  # a task waits for another thread, or is paused
                    self._wake.get(timeout=None if end is None else max(end - time.monotonic(), 0.0))
                except queue.Empty:
                    return
        except KeyboardInterrupt:
            for task in list(self._tasks.values()):
                self._close(task)
            raise
