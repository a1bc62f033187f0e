"""numpy, imported when something of it is first asked for: what lists vectors, and the app's first frame, compute nothing."""

from __future__ import annotations

from typing import Any


def __getattr__(name: str) -> Any:
    import numpy

    value = globals()[name] = getattr(numpy, name)
    return value
