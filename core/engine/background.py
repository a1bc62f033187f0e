"""Work that waits for a network or a disk, in a thread beside the engine's, so that other tasks run meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, wait
from typing import TypeVar

from core.errors import Cancelled
from core.model.store import Progress

T = TypeVar("T")
_LOOK_SECONDS = 0.1


def in_background(work: Callable[[Progress], T], progress: Progress) -> Generator[Future[T], None, T]:
    """Does `work` in a thread, for a task; gives what it gives and raises what it raises.

    `work` tells how far it is by the function it is given. Where the task is ended first, that function raises Cancelled, and
    the thread is left to come to its end by itself.
    """
    left = threading.Event()
    done: Future[T] = Future()

    def tell(stage: str, fraction: float | None) -> None:
        if left.is_set():
            raise Cancelled
        progress(stage, fraction)

    def run() -> None:
        try:
            done.set_result(work(tell))
        except BaseException as error:
            done.set_exception(error)

    # A daemon, so that a network that hangs does not keep the program from ending.
    threading.Thread(target=run, name="melbo-fetch", daemon=True).start()
    try:
        while not done.done():
            yield done
            wait([done], _LOOK_SECONDS)  # for whoever steps the task without looking at the future
        return done.result()
    finally:
        left.set()
