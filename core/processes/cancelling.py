"""How a wait deep inside a step learns that its task is to end, without being handed the task.

Whoever steps tasks says for its own thread what to ask; what may wait for long asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class _Asked(threading.local):
    check: Callable[[], object] | None = None


_asked = _Asked()


@contextmanager
def cancelled_by(check: Callable[[], object]) -> Iterator[None]:
    """Until it is left, `check` is called by what waits in this thread; it raises Cancelled where the task is to end."""
    before, _asked.check = _asked.check, check
    try:
        yield
    finally:
        _asked.check = before


def end_if_cancelled() -> None:
    """Raises Cancelled where this thread's task is to end."""
    if _asked.check is not None:
        _asked.check()
