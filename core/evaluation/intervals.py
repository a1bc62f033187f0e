"""Shares with their uncertainty. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt


def interval(count: int, of: int) -> tuple[float, float]:
    """The 95% interval (Wilson) of the share `count` of `of`, each 0 to 1; of nothing it is everything."""
    if not of:
        return 0.0, 1.0
    z = 1.96
    middle, spread = (count + z * z / 2) / (of + z * z), z / (of + z * z) * sqrt(count * (of - count) / of + z * z / 4)
    return max(middle - spread, 0.0), min(middle + spread, 1.0)


def counted(flags: Sequence[bool]) -> str:
    """How many of `flags` are true, with the interval of their share: `3 of 16 (7-43%)`."""
    return f"{sum(flags)} of {len(flags)} ({in_percent(sum(flags), len(flags))})"


def in_percent(count: int, of: int) -> str:
    """The interval as it stands behind a count: `7-43%`."""
    low, high = interval(count, of)
    return f"{100 * low:.0f}-{100 * high:.0f}%"
