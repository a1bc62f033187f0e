"""Moments as people read them."""

from __future__ import annotations

import time


def moment(seconds: float) -> str:
    """A time in seconds since 1970 by the local clock; a file may bear one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))
    except (OSError, OverflowError, ValueError):
        return "no known time"
