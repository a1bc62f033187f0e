"""Runs engine requests for commands: in the foreground, with a progress line or JSON lines, ended between steps."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from core.engine.events import Event, ModelLoaded, Progressed, TaskEnded, TaskStarted, Warned
from core.engine.foreground import Foreground
from core.engine.handle import Handle
from core.engine.requests import LoadModel, Request
from core.engine.session import Session
from core.errors import Cancelled
from core.log import LOG
from melbo_tui.commands.interruption import Interruption, Stopped, handled
from melbo_tui.commands.output import ProgressLine, event_json, fail, note, say_json
from melbo_tui.commands.streams import OutputError, ReaderGone
from melbo_tui.settings import library_folder
from vectors.store.library import Library


def open_library(args: argparse.Namespace, quietly: bool = False) -> Library:
    """The library that the command is about; what is damaged in it is told, unless `quietly`."""
    library = Library(library_folder(args.library))
    for problem in () if quietly else library.problems():
        LOG.warning("in the library: %s", problem)
        fail(f"in the library: {problem}")
    return library


class Runner:
    """Carries out requests one after another in this thread; `--json` prints every event as a line."""

    def __init__(self, args: argparse.Namespace, session: Session) -> None:
        self.args = args
        self.session = session
        self.loaded: ModelLoaded | None = None

    def load_model(self) -> ModelLoaded:
        self.perform(LoadModel(self.args.spec), lambda event: None)
        assert self.loaded is not None
        return self.loaded

    def perform(self, request: Request, listen: Callable[[Event], object]) -> None:
        """Runs `request` to its end; `listen` is called with what it tells on the way. Raises what the task raises."""
        line = ProgressLine()
        unwritten: list[Exception] = []

        def show(event: Event) -> None:
            if self.args.json:
                say_json(event_json(event))
            elif isinstance(event, Progressed):
                line.show(event)
            elif isinstance(event, Warned):
                line.clear()
                note(event.message)
            listen(event)

        def take(event: Event) -> None:
            if isinstance(event, (TaskStarted, TaskEnded)):
                return
            if isinstance(event, ModelLoaded):
                self.loaded = event
            try:
                show(event)
            except (OutputError, ReaderGone) as error:  # the step in hand is ended and put away all the same
                unwritten.append(error)
                handle.cancel()

        handle = Foreground(self.session).submit(request, take)
        try:
            with _interruptions(handle) as interrupted:
                handle.wait()
        finally:
            line.clear()
        # A terminal that is gone can be written to no more; that it went is what ended the work.
        if isinstance(handle.error, Cancelled) and (interrupted.number or not unwritten):
            raise Stopped(interrupted.number or signal.SIGINT)
        if handle.error is not None and not isinstance(handle.error, Cancelled):
            raise handle.error
        if unwritten:
            fail("stopped: the output cannot be written; everything finished is kept")
            raise unwritten[0]


@contextmanager
def _interruptions(handle: Handle) -> Iterator[Interruption]:
    """The first signal that ends the program cancels the task, at its next step; the second raises Stopped at once."""
    interruption = Interruption()

    def interrupt(number: int, frame: object) -> None:
        interruption.take(number)
        handle.cancel()
        # A handler may run in the middle of another write, where only the bare system call is safe.
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), b"\nmelbo-tui: stopping at the end of this step (Ctrl-C again: at once)\n")

    with handled(interrupt):
        yield interruption
