"""Tasks, carried out a step at a time in whichever thread calls for the step: the engine's own, or whoever waits for them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.engine.events import Event, Progressed, TaskEnded, TaskPaused, TaskStarted
from core.engine.handle import Deliver, Handle, Listener
from core.engine.outbox import FLUSH_SECONDS, Outbox
from core.engine.requests import Request
from core.engine.session import Session, Task, failure
from core.errors import Cancelled
from core.log import failed
from core.processes.cancelling import cancelled_by


@dataclass(eq=False)
class Running:
    """A task that has not ended."""

    handle: Handle
    steps: Task | None = None
    paused: bool = False
    cancelled: bool = False
    ending: bool = False  # it was told that it is cancelled, and may be finishing what is cheap
    waits: Future[Any] | None = None
    stage: str = ""
    fault: Exception | None = None  # its listener's

    @property
    def id(self) -> int:
        return self.handle.task

    @property
    def request(self) -> Request:
        return self.handle.request

    @property
    def ready(self) -> bool:
        return self.cancelled or not (self.paused or (self.waits is not None and not self.waits.done()))


def at_once(call: Callable[[], object]) -> None:
    """Delivers an event in the thread that steps the tasks."""
    call()


class Stepper:
    """Runs requests one step at a time, the highest priority first, tasks of one priority in the order they came.

    A task's listener is called with its events alone, `everything` after it with every task's; both by `deliver`, and at most
    about every `interval` seconds with those that merge. A listener that raises ends its task, which then has failed.
    """

    def __init__(
        self,
        session: Session,
        everything: Listener | None = None,
        deliver: Deliver = at_once,
        interval: float | None = FLUSH_SECONDS,
    ) -> None:
        self._session = session
        session.end_others = self._end_others
        self._everything, self._deliver = everything, deliver
        self._lock = threading.RLock()
        self._outbox = Outbox(self._publish, interval, self._lock)
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._tasks: dict[int, Running] = {}
        self._told: dict[int, Running] = {}  # tasks whose last event has not gone out
        self._next_id = 0
        self._closing = False
        self._over = False  # no step is made any more

    def submit(self, request: Request, listener: Listener | None = None) -> Handle:
        """Queues `request`; `listener` is called with its task's events, the last of them a TaskEnded."""
        with self._lock:
            task = Running(Handle(self._next_id, request, self, listener), cancelled=self._closing)
            self._next_id += 1
            if self._over:
                task.handle.end(TaskEnded(task.id, "cancelled"))
                return task.handle
            self._tasks[task.id] = self._told[task.id] = task
        self._wake.put(None)
        return task.handle

    def change(self, task: int, *, cancelled: bool = False, paused: bool | None = None) -> None:
        """What a handle asks for its task; one that has just ended is no fault."""
        with self._lock:
            one = self._tasks.get(task)
            if one is None:
                return
            if cancelled:
                one.cancelled = True
            if paused is not None and paused != one.paused:
                one.paused = paused
                self._outbox.put(TaskPaused(task, paused))
        self._wake.put(None)

    def wait_for(self, handle: Handle, seconds: float | None) -> None:
        """Returns when the task has ended, or after so many seconds."""
        handle.wait_for_end(seconds)

    # Steps

    def _choose(self) -> Running | None:
        with self._lock:
            ready = [t for t in self._tasks.values() if t.ready]
        return min(ready, key=lambda t: (not t.cancelled, -t.request.priority, t.id), default=None)

    def _step(self, task: Running) -> None:
        with cancelled_by(partial(self._end_if_asked, task)):
            try:
                if task.cancelled and task.steps is not None and not (task.ending or self._closing):
                    self._tell_to_end(task)
                    self._wait_on(task, task.steps.throw(Cancelled()))
                    return
                if task.cancelled:
                    self._close(task)
                    return
                if task.steps is None:
                    self._outbox.put(TaskStarted(task.id, task.request.label))
                    task.steps = self._session.start(task.id, task.request, partial(self._emit, task))
                self._wait_on(task, next(task.steps))
            except StopIteration as returned:
                task.handle.result = returned.value
                self._end(task)
            except KeyboardInterrupt:  # only the main thread is interrupted so, and whoever waits there is to know
                raise
            except BaseException as error:  # a thread that dies takes the app's work with it: every fault becomes an event
                self._end(task, error)

    def _wait_on(self, task: Running, future: Future[Any] | None) -> None:
        """Leaves the task alone until `future` is done, if it gave one."""
        task.waits = future
        if future is not None:
            future.add_done_callback(lambda done: self._wake.put(None))

    def _tell_to_end(self, task: Running) -> None:
        """Takes the user's wish to end `task`, who is about to be told: it may run on for a little, so it is not held."""
        task.cancelled, task.ending = False, True
        if task.paused:
            task.paused = False
            self._outbox.put(TaskPaused(task.id, False))

    def _close(self, task: Running) -> None:
        try:
            if task.steps is not None:
                task.steps.close()
            self._end(task, Cancelled())
        except Exception as error:  # what it could not put away
            self._end(task, error)

    def _end_others(self, but: int) -> None:
        """Closes every task that has begun, apart from `but`. Called in the thread that makes the steps, from that task."""
        with self._lock:
            begun = [task for task in self._tasks.values() if task.steps is not None and task.id != but]
        for task in begun:
            self._close(task)

    def _end_if_asked(self, task: Running) -> None:
        """Raises Cancelled within the task's step where it is to end."""
        if task.cancelled:
            if not self._closing:
                self._tell_to_end(task)
            raise Cancelled

    def _end(self, task: Running, error: BaseException | None = None) -> None:
        error = task.fault or error
        ended = TaskEnded(task.id, "done") if error is None else failure(task.id, error)
        with self._lock:
            self._tasks.pop(task.id, None)
        self._outbox.put(ended)
        self._told.pop(task.id, None)
        task.handle.end(ended, error)

    # Events

    def _emit(self, task: Running, event: Event) -> None:
        """Publishes an event of a task; long phases that cannot yield, and threads that a task has left, are cancelled here."""
        with self._lock:
            if task.id not in self._tasks:
                raise Cancelled
            self._outbox.put(event)
        if isinstance(event, Progressed):
            # A new stage may block for seconds (an import, a file), so it is told before it begins.
            if event.stage != task.stage:
                self._outbox.flush()
            else:
                self._outbox.flush_if_due()
            task.stage = event.stage
            self._end_if_asked(task)

    def _publish(self, event: Event) -> None:
        task = self._told[event.task]

        def tell() -> None:
            task.handle.tell(event)
            if self._everything is not None:
                self._everything(event)

        try:
            self._deliver(tell)
        except Exception as error:  # one listener's fault must not end the other tasks
            failed(f"a listener of {task.request.described}", error)
            task.handle.tell_no_more()
            task.fault, task.cancelled = task.fault or error, True
