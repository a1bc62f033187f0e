"""What the engine gives whoever asks it: a handle on the task, and the task's events to one listener."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Protocol

from core.engine.events import Event, TaskEnded
from core.engine.requests import Request

Listener = Callable[[Event], object]
# Calls what it is given, soon and in the thread where listeners are to be called. It must not block.
Deliver = Callable[[Callable[[], object]], object]


class Controls(Protocol):
    """Who runs tasks, as their handles see it. `task` is a handle's; the ids of tasks that have ended are ignored."""

    def change(self, task: int, *, cancelled: bool = False, paused: bool | None = None) -> None:
        """Has the task end, or holds it between two steps, or lets it go on."""

    def wait_for(self, handle: Handle, seconds: float | None) -> None:
        """Returns when the task has ended, or after so many seconds; None: no limit."""


class EngineLike(Protocol):
    """What the interface needs of an engine; tests give it a scripted one."""

    def submit(self, request: Request, listener: Listener | None = None) -> Handle: ...
    def close(self, timeout: float | None = 10.0) -> bool: ...


class Handle:
    """One task of an engine. Its methods may be called from any thread.

    `ended` says how the task ended, None before that; `error` is the exception that ended it, where one did; `result` is what
    it came to, where it has more to give than its events.
    """

    def __init__(self, task: int, request: Request, controls: Controls, listener: Listener | None = None) -> None:
        self.task, self.request = task, request
        self.ended: TaskEnded | None = None
        self.error: BaseException | None = None
        self.result: Any = None
        self._controls, self._listener = controls, listener
        self._over = threading.Event()

    @property
    def done(self) -> bool:
        """Whether the task has ended and its last event is on its way to the listener, or there."""
        return self._over.is_set()

    def cancel(self) -> None:
        """Tells the task at its next step to end; what it has finished stays. Asked a second time, it ends at once."""
        self._controls.change(self.task, cancelled=True)

    def pause(self) -> None:
        """Holds the task between two steps."""
        self._controls.change(self.task, paused=True)

    def resume(self) -> None:
        """Lets a paused task go on."""
        self._controls.change(self.task, paused=False)

    def wait(self, timeout: float | None = None) -> TaskEnded | None:
        """How the task ended, once it has; None where it is still at work after `timeout` seconds.

        Raises RuntimeError in a listener that the engine's own thread calls, which would wait for itself.
        """
        if not self.done:
            self._controls.wait_for(self, timeout)
        return self.ended

    # For whoever runs the task

    def tell(self, event: Event) -> None:
        """Calls the listener."""
        if self._listener is not None:
            self._listener(event)

    def tell_no_more(self) -> None:
        """The listener is not called again."""
        self._listener = None

    def end(self, ended: TaskEnded, error: BaseException | None = None) -> None:
        """The task has ended: whoever waits for it goes on."""
        self.ended, self.error = ended, error
        self._over.set()

    def wait_for_end(self, seconds: float | None) -> None:
        self._over.wait(seconds)
