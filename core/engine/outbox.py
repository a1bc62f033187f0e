"""Events on their way out of the engine, merged so that a fast task does not flood a slow listener."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from core.engine.events import Event

FLUSH_SECONDS = 0.1


class Outbox:
    """Calls `publish` with events in their order, those that merge at most every `interval` seconds.

    `interval` None: each goes out as it comes, unmerged. `lock` is held meanwhile; it is the caller's own where the caller may
    hold one when it puts an event or is called with one, since two could be taken in either order.
    """

    def __init__(
        self,
        publish: Callable[[Event], None],
        interval: float | None = FLUSH_SECONDS,
        lock: AbstractContextManager[object] | None = None,
    ) -> None:
        self._publish = publish
        self._interval = interval
        self._waiting: list[Event] = []
        self._lock = lock or threading.RLock()
        self._last = 0.0

    def put(self, event: Event) -> None:
        """Takes an event: one that merges waits for its time, any other goes out now, behind those that wait."""
        with self._lock:
            if self._interval is None or event.merged_with(event) is None:
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
        if self._interval is not None and time.monotonic() - self._last >= self._interval:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            waiting, self._waiting = self._waiting, []
            self._last = time.monotonic()
            for event in waiting:
                self._publish(event)
