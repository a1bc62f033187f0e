"""The worker thread: owns the model, runs tasks step by step, publishes events. Needs no Textual, and no torch to import."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from core.engine.events import Event, Progressed, TaskEnded, TaskPaused, TaskStarted
from core.engine.requests import Request
from core.engine.session import Session, Task, failure
from core.errors import Cancelled
from core.memory.heap import give_back
from core.processes.cancelling import cancelled_by

_FLUSH_SECONDS = 0.1
# How long an engine that closes waits for a step that has nothing to keep, and how often it looks whether it is such a one.
_NOTHING_TO_KEEP_SECONDS, _LOOK_SECONDS = 0.2, 0.05


@dataclass
class _Running:
    id: int
    request: Request
    steps: Task | None = None
    paused: bool = False
    cancelled: bool = False
    ending: bool = False  # it was told that it is cancelled, and may be finishing what is cheap
    waits: Future[Any] | None = None
    stage: str = ""

    @property
    def ready(self) -> bool:
        return self.cancelled or not (self.paused or (self.waits is not None and not self.waits.done()))


class Engine:
    """Runs requests one step at a time, the highest priority first, in a thread of its own.

    `publish` is called in that thread with every event, at most about ten times a second with those that merge. It
    must not block: a listener that stops reading must not stop the training.
    """

    def __init__(self, publish: Callable[[Event], None], session: Session) -> None:
        self._session = session
        session.end_others = self._end_others
        self._outbox = Outbox(publish)
        self._wake: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._tasks: dict[int, _Running] = {}
        self._lock = threading.RLock()
        self._next_id = 1
        self._closing = False
        self._at_work: _Running | None = None  # whose step is being made
        self._worked = False  # since it last rested
        self._thread = threading.Thread(target=self._work, name="melbo-engine", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> int:
        """Queues `request` and gives its task's id. Tasks of one priority run in the order they came."""
        with self._lock:
            task = _Running(self._next_id, request, cancelled=self._closing)
            self._next_id += 1
            self._tasks[task.id] = task
        self._wake.put(None)
        return task.id

    def cancel(self, task: int) -> None:
        """Tells the task at its next step to end; what it has finished stays. Asked a second time, it ends at once.

        Unknown ids are ignored: it may just have ended.
        """
        self._change(task, cancelled=True)

    def pause(self, task: int, paused: bool = True) -> None:
        """Holds the task between two steps, or lets it go on."""
        self._change(task, paused=paused)

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

    def _change(self, id: int, *, cancelled: bool | None = None, paused: bool | None = None) -> None:
        with self._lock:
            task = self._tasks.get(id)
            if task is None:
                return
            if cancelled:
                task.cancelled = True
            if paused is not None and paused != task.paused:
                task.paused = paused
                self._outbox.put(TaskPaused(id, paused))
        self._wake.put(None)

    def _work(self) -> None:
        try:
            self._run_tasks()
        finally:  # a fault of the engine's own must not cost what the tasks have made
            for task in list(self._tasks.values()):
                with suppress(BaseException):
                    if task.steps is not None:
                        task.steps.close()

    def _run_tasks(self) -> None:
        while True:
            task = self._choose()
            if task is not None:
                self._at_work = task
                self._worked = True
                with cancelled_by(partial(self._end_if_asked, task)):
                    self._step(task)
                self._at_work = None
                self._outbox.flush_if_due()
                continue
            self._outbox.flush()
            if self._closing:
                return
            if self._worked:
                self._worked = False
                give_back()
            self._wake.get()

    def _choose(self) -> _Running | None:
        with self._lock:
            ready = [t for t in self._tasks.values() if t.ready]
        return min(ready, key=lambda t: (not t.cancelled, -t.request.priority, t.id), default=None)

    def _step(self, task: _Running) -> None:
        try:
            if task.cancelled and task.steps is not None and not (task.ending or self._closing):
                self._tell_to_end(task)
                self._wait_for(task, task.steps.throw(Cancelled()))
                return
            if task.cancelled:
                self._close(task)
                return
            if task.steps is None:
                self._outbox.put(TaskStarted(task.id, task.request.label))
                task.steps = self._session.start(task.id, task.request, lambda event: self._emit(task, event))
            self._wait_for(task, next(task.steps))
        except StopIteration:
            self._end(task, TaskEnded(task.id, "done"))
        except BaseException as error:  # a thread that dies takes the app's work with it: every fault becomes an event
            self._end(task, failure(task.id, error))

    def _wait_for(self, task: _Running, future: Future[Any] | None) -> None:
        """Leaves the task alone until `future` is done, if it gave one."""
        task.waits = future
        if future is not None:
            future.add_done_callback(lambda done: self._wake.put(None))

    def _tell_to_end(self, task: _Running) -> None:
        """Takes the user's wish to end `task`, who is about to be told: it may run on for a little, so it is not held."""
        task.cancelled, task.ending = False, True
        if task.paused:
            task.paused = False
            self._outbox.put(TaskPaused(task.id, False))

    def _close(self, task: _Running) -> None:
        try:
            if task.steps is not None:
                task.steps.close()
            self._end(task, TaskEnded(task.id, "cancelled"))
        except Exception as error:  # what it could not put away
            self._end(task, failure(task.id, error))

    def _end_others(self, but: int) -> None:
        """Closes every task that has begun, apart from `but`. Called in the engine's thread, from that task."""
        with self._lock:
            begun = [task for task in self._tasks.values() if task.steps is not None and task.id != but]
        for task in begun:
            self._close(task)

    def _emit(self, task: _Running, event: Event) -> None:
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

    def _end_if_asked(self, task: _Running) -> None:
        """Raises Cancelled within the task's step where it is to end."""
        if task.cancelled:
            if not self._closing:
                self._tell_to_end(task)
            raise Cancelled

    def _end(self, task: _Running, event: TaskEnded) -> None:
        with self._lock:
            self._tasks.pop(task.id, None)
        self._outbox.put(event)
        self._outbox.flush()


class Outbox:
    """Merges events on their way out, so that a fast task does not flood a slow listener."""

    def __init__(self, publish: Callable[[Event], None], interval: float = _FLUSH_SECONDS) -> None:
        self._publish = publish
        self._interval = interval
        self._waiting: list[Event] = []
        self._lock = threading.RLock()
        self._last = 0.0

    def put(self, event: Event) -> None:
        """Takes an event: one that merges waits for its time, any other goes out now, behind those that wait."""
        with self._lock:
            if event.merged_with(event) is None:
                self._waiting.append(event)
                self.flush()
                return
            for i in range(len(self._waiting) - 1, -1, -1):
                merged = self._waiting[i].merged_with(event)
                if merged is not None:
                    self._waiting[i] = merged
                    return
            self._waiting.append(event)

    def flush_if_due(self) -> None:
        if time.monotonic() - self._last >= self._interval:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._last = time.monotonic()
            for event in waiting:
                self._publish(event)
