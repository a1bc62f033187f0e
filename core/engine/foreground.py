"""The engine without a thread of its own: a task is carried out by whoever waits for it, as commands do."""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Generator
from typing import Any

from core.engine.events import Event
from core.engine.handle import Handle
from core.engine.requests import Request
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
                self._make_a_step(end)
        except KeyboardInterrupt:
            self._close_all()
            raise

    def events(self, request: Request) -> Generator[Event, None, Any]:
        """The events of `request`, which is carried out a step at a time as they are asked for; returns the task's result.

        To close it closes the task, which first puts away what it has finished. Raises what ended the task.
        """
        waiting: list[Event] = []
        handle = self.submit(request, waiting.append)
        try:
            while waiting or not handle.done:
                if waiting:
                    yield waiting.pop(0)
                else:
                    self._make_a_step(None)
        finally:
            self._close_all()
        if handle.error is not None:
            raise handle.error
        return handle.result

    def _make_a_step(self, end: float | None) -> None:
        """Makes a step of the task whose turn it is; where all wait for other threads, or are paused, waits until `end`."""
        if (task := self._choose()) is not None:
            self._step(task)
            return
        with contextlib.suppress(queue.Empty):
            self._wake.get(timeout=None if end is None else max(end - time.monotonic(), 0.0))

    def _close_all(self) -> None:
        for task in list(self._tasks.values()):
            self._close(task)
