"""The worker thread: owns the model, runs tasks step by step, publishes events. Needs no Textual, and no torch to import."""

from __future__ import annotations

import threading
import time

from core.engine.events import TaskEnded
from core.engine.handle import Deliver, Handle, Listener
from core.engine.session import Session
from core.engine.stepping import Running, Stepper, at_once
from core.log import fault_remedy
from core.memory.heap import give_back

# How long an engine that closes waits for a step that has nothing to keep, and how often it looks whether it is such a one.
_NOTHING_TO_KEEP_SECONDS, _LOOK_SECONDS = 0.2, 0.05


class Engine(Stepper):
    """Runs requests in a thread of its own, one step at a time, the highest priority first.

    Listeners are called in that thread, and must not block it, or else by `deliver`, which is given each call and must not
    block either: a listener that stops reading must not stop the training.
    """

    def __init__(self, session: Session, everything: Listener | None = None, deliver: Deliver = at_once) -> None:
        super().__init__(session, everything, deliver)
        self._at_work: Running | None = None  # whose step is being made
        self._worked = False  # since it last rested
        self._thread = threading.Thread(target=self._work, name="melbo-engine", daemon=True)
        self._thread.start()

    def close(self, timeout: float | None = 10.0) -> bool:
        """Ends every task at its next step, which puts away what it has finished, and the thread; False if not in time.

        A task that has nothing to put away, as loading has, is not waited for: its step may be a long one.
        """
        self._closing = True
        with self._lock:
            for task in self._tasks.values():
                task.cancelled = True
        self._wake.put(None)
        end = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self._thread.is_alive() and time.monotonic() < end:
            at_work = self._at_work
            if at_work is not None and not at_work.request.puts_away:
                end = min(end, time.monotonic() + _NOTHING_TO_KEEP_SECONDS)
            self._thread.join(min(_LOOK_SECONDS, max(end - time.monotonic(), 0.0)))
        return not self._thread.is_alive()

    def wait_for(self, handle: Handle, seconds: float | None) -> None:
        """Returns when the task has ended, or after so many seconds. Raises RuntimeError in the engine's own thread."""
        if threading.current_thread() is self._thread:
            raise RuntimeError(
                "a listener that is called in the engine's thread cannot wait for a task: give the engine `deliver`"
            )
        super().wait_for(handle, seconds)

    def _work(self) -> None:
        try:
            self._run_tasks()
        finally:  # a fault of the engine's own must not cost what the tasks have made, nor leave anybody waiting
            with self._lock:
                self._over = True
                left = list(self._tasks.values())
            for task in left:
                self._leave(task)

    def _leave(self, task: Running) -> None:
        ended = TaskEnded(task.id, "failed", "the engine ended by a fault", fault_remedy())
        try:
            if task.steps is not None:
                task.steps.close()
        except BaseException as error:
            task.handle.end(ended, error)
        else:
            task.handle.end(ended)

    def _run_tasks(self) -> None:
        while True:
            if (task := self._choose()) is not None:
                self._at_work, self._worked = task, True
                self._step(task)
                self._at_work = None
                self._outbox.flush_if_due()
                continue
            self._outbox.flush()
            with self._lock:
                if self._closing and not self._tasks:
                    self._over = True
                    return
            if self._worked:
                self._worked = False
                give_back()
            self._wake.get()
