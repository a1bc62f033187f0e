"""Saving what a task has made: a full disk is told, and the work goes on; what is not saved stays in memory until it can be."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait

from core.engine.events import Warned
from core.engine.session import Emit, Session, Task
from vectors.store.index import LibraryError
from vectors.vector import VectorError

_AGAIN_SECONDS = 2.0


class Saving:
    """Attempts to save one kind of thing. `trouble` is why the last one failed, None where it did not."""

    def __init__(self, session: Session, task: int, emit: Emit, what: str) -> None:
        self._session, self._task, self._emit, self._what = session, task, emit, what
        self.trouble: LibraryError | VectorError | None = None

    def attempt(self, save: Callable[[], object]) -> bool:
        """Does `save` and gives whether it could be done; the first of several failures is told, and that it is over."""
        try:
            save()
        except (LibraryError, VectorError) as error:
            if self.trouble is None:
                self._emit(Warned(self._task, f"{error}; {self._what} stay in memory, and the work goes on"))
            self.trouble = error
            return False
        if self.trouble is not None:
            self.trouble = None
            self._emit(Warned(self._task, f"saved now: {self._what}"))
        return True

    def at_last(self, save: Callable[[], object], waiting: Callable[[], object]) -> Task:
        """Does `save` when there is no more to do meanwhile: in an app as soon as it can be done, `waiting` being called before
        every attempt. Raises what `save` raises elsewhere, where nobody would make room, and where the waiting is ended."""
        try:
            while not self.attempt(save):
                if not self._session.waits_for_space:
                    break
                waiting()
                later: Future[None] = Future()
                timer = threading.Timer(_AGAIN_SECONDS, later.set_result, (None,))
                timer.daemon = True
                timer.start()
                yield later
                wait([later], 0.1)  # for whoever steps the task without looking at the future
        finally:
            if self.trouble is not None:
                raise self.trouble
