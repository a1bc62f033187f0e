"""Measures throughput and estimates the time left."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


class Pace:
    """Counts units of work, `done` of `total`; a pause of more than ten usual ticks is not counted as work."""

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.done = 0.0
        self._clock = clock
        self._timed = 0.0
        self._worked = 0.0
        self._last = clock()
        self._longest = 0.0

    def begin(self) -> None:
        """What has passed since the last tick was other work."""
        self._last = self._clock()

    def skip(self, units: float) -> None:
        """Counts units that were done before this pace was kept."""
        self.done += units

    def tick(self, units: float) -> None:
        now = self._clock()
        passed, self._last = now - self._last, now
        # A training run that was paused, or that made way for a chat reply, is not slower for it.
        self._worked += passed if not self._longest else min(passed, 10 * self._longest)
        self._longest = max(self._longest, min(passed, 10 * self._longest) if self._longest else passed)
        self.done += units
        self._timed += units

    @property
    def rate(self) -> float | None:
        """Units a second, or None before any was done."""
        return self._timed / self._worked if self._timed and self._worked else None

    @property
    def eta(self) -> float | None:
        """Seconds left, or None before that can be told."""
        return max(self.total - self.done, 0.0) / self.rate if self.rate else None


@dataclass(frozen=True)
class Turns:
    """Two kinds of work that take turns, each at its own rate. While one has not begun, a unit of the second is taken to last
    as long as `worth` of the first."""

    first: Pace
    second: Pace
    worth: float

    def seconds(self) -> tuple[float, float] | None:
        """Seconds of work behind and ahead at the rates of now, or None before either kind has begun."""
        first, second = self.first.rate, self.second.rate
        if first is None and second is None:
            return None
        rates = (first or (second or 0.0) * self.worth), (second or (first or 0.0) / self.worth)
        paces = list(zip((self.first, self.second), rates, strict=True))
        behind = sum(pace.done / rate for pace, rate in paces)
        return behind, sum(max(pace.total - pace.done, 0.0) / rate for pace, rate in paces)
