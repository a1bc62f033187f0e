"""How fast work goes and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Counts units of work; pauses between `tick` calls longer than ten usual ones are not counted as work."""

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0.0
        self._clock = clock
        self._worked = 0.0
        self._last = clock()
        self._longest = 0.0

    def tick(self, units: float) -> None:
        now = self._clock()
        passed, self._last = now - self._last, now
        # A training run that was paused, or that made way for a chat reply, is not slower for it.
        self._worked += passed if not self._longest else min(passed, 10 * self._longest)
        self._longest = max(self._longest, min(passed, 10 * self._longest) if self._longest else passed)
        self.done += units

    @property
    def rate(self) -> float | None:
        """Units a second, or None before any was done."""
        return self.done / self._worked if self.done and self._worked else None

    @property
    def eta(self) -> float | None:
        """Seconds left, or None before that can be told."""
        return (self.total - self.done) / self.rate if self.rate else None
