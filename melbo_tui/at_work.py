"""The engine's running tasks, gathered from their events: plain data for the top bar and the task bar."""

from __future__ import annotations

from core.engine.events import Event, Progressed, TaskEnded, TaskPaused, TaskStarted
from vectors.plain_text import one_line


class AtWork:
    """The tasks that have begun and not ended; `progress` is of the newest that tells any."""

    def __init__(self) -> None:
        self._tasks: dict[int, TaskStarted] = {}
        self._progress: dict[int, Progressed] = {}
        self._paused: set[int] = set()

    def take(self, event: Event) -> None:
        if isinstance(event, TaskStarted):
            self._tasks[event.task] = event
        elif isinstance(event, Progressed):
            self._progress[event.task] = event
        elif isinstance(event, TaskPaused):
            (self._paused.add if event.paused else self._paused.discard)(event.task)
        elif isinstance(event, TaskEnded):
            self._tasks.pop(event.task, None)
            self._progress.pop(event.task, None)
            self._paused.discard(event.task)

    @property
    def idle(self) -> bool:
        return not self._tasks

    @property
    def busy(self) -> bool:
        """Whether there is work that is not paused."""
        return not set(self._tasks) <= self._paused

    @property
    def word(self) -> str:
        """What the newest task does, in a word; empty while there is none."""
        return one_line(self._tasks[max(self._tasks)].label.split()[0], 12) if self._tasks else ""

    @property
    def progress(self) -> Progressed | None:
        return self._progress[max(self._progress)] if self._progress else None

    @property
    def progress_paused(self) -> bool:
        """Whether the task that `progress` is of is paused."""
        return max(self._progress, default=None) in self._paused
