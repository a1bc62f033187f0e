"""A task that does as a test says, and a listener that remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from core.engine.events import Event, Progressed, TaskEnded
from core.engine.handle import Handle
from core.engine.requests import BACKGROUND, INTERACTIVE, Request
from core.engine.session import Emit, Session
from core.errors import Cancelled

WAIT = 10.0


@dataclass(frozen=True)
class Scripted(Request):
    """Runs `steps` steps, each of which waits for `gate` if there is one."""

    task_module = "tests.core.engine.scripted_task"
    name: str = "task"
    steps: int = 3
    urgent: bool = False
    gate: Any = None
    fault: Any = None
    parting: int = 0  # steps that it takes when it is told to end
    waits: Any = None
    log: ClassVar[list[str]] = []

    @property
    def priority(self) -> int:  # type: ignore[override]
        return INTERACTIVE if self.urgent else BACKGROUND


def run(session: Session, request: Scripted, task: int, emit: Emit) -> Iterator[Any]:
    try:
        for step in range(request.steps):
            if request.gate is not None:
                request.gate.wait(WAIT)
            request.log.append(f"{request.name}{step}")
            emit(Progressed(task, request.name, step, request.steps))
            if request.fault is not None:
                raise request.fault
            yield request.waits
    except Cancelled:
        for step in range(request.parting):
            request.log.append(f"{request.name} parting{step}")
            emit(Progressed(task, "parting", step, request.parting))
            yield
        raise
    finally:
        request.log.append(f"{request.name} closed")


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[Event], bool]) -> Event:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self.events)), WAIT), self.events
            return next(event for event in self.events if wanted(event))

    def ended(self, task: Handle) -> TaskEnded:
        event = self.wait_for(lambda e: isinstance(e, TaskEnded) and e.task == task.task)
        assert isinstance(event, TaskEnded)
        assert task.wait(WAIT) == event
        return event
