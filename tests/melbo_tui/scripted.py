"""An engine that does what the test says, and an app around it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from core.engine.events import (
    Event,
    ModelLoaded,
    Progressed,
    RadiusChosen,
    RunStarted,
    Stepped,
    StepPoint,
    TaskEnded,
    TaskStarted,
    VectorFound,
)
from core.engine.handle import Deliver, Handle, Listener
from core.engine.requests import LoadModel, Request
from core.model.source import ModelSpec
from melbo_tui.app import MelboApp
from tests.completions import generated
from tests.vectors.making import vector
from vectors.store.library import Library, new_run_id
from vectors.vector import ModelStamp

STAMP = ModelStamp("smollm2", 8, 30, "abcdef012345")
# What a pane does it does at both; that it fits at every size is for test_sizes.py.
SIZES = [(80, 24), pytest.param((120, 40), marks=pytest.mark.slow)]


class ScriptedEngine:
    """Keeps what it is asked for; `tell` publishes events as the engine's thread would. Tasks are numbered from 1."""

    def __init__(self, library: Library, everything: Listener, deliver: Deliver) -> None:
        self.library = library
        self._everything, self._deliver = everything, deliver
        self.requests: list[Request] = []
        self.handles: list[Handle] = []
        self.cancelled: list[int] = []
        self.paused: list[tuple[int, bool]] = []
        self.closed = False

    def submit(self, request: Request, listener: Listener | None = None) -> Handle:
        self.requests.append(request)
        self.handles.append(Handle(len(self.requests), request, self, listener))
        return self.handles[-1]

    def change(self, task: int, *, cancelled: bool = False, paused: bool | None = None) -> None:
        if cancelled:
            self.cancelled.append(task)
        if paused is not None:
            self.paused.append((task, paused))

    def wait_for(self, handle: Handle, seconds: float | None) -> None:
        raise AssertionError("the app must not wait for a task")

    def tell(self, event: Event) -> None:
        handle = self.handles[event.task - 1]
        if handle.done:
            return  # an engine tells nothing more of a task that has ended

        def told() -> None:
            handle.tell(event)
            self._everything(event)

        self._deliver(told)
        if isinstance(event, TaskEnded):
            handle.end(event)

    def close(self, timeout: float | None = None) -> bool:
        self.closed = True
        return True

    def last(self, kind: type[Any]) -> tuple[int, Any]:
        """The id and the request of the last task of that kind."""
        return next((i, r) for i, r in reversed(list(enumerate(self.requests, 1))) if isinstance(r, kind))

    def load(self, name: str = "smollm2", d_model: int = 8) -> None:
        task, _ = self.last(LoadModel)
        self.tell(TaskStarted(task, "loading"))
        self.tell(ModelLoaded(task, name, "", "Llama", 30, d_model, "float32", "cpu", STAMP.fingerprint, True, 1, 1.0))
        self.tell(TaskEnded(task, "done"))

    def find(self, task: int, count: int = 3, asked: int = 4) -> list[str]:
        """Events of a run that has trained `count` vectors, which are in the library; gives their ids."""
        saved = self.library.save_run(new_run_id(), [vector(i, f"bomb-{i + 1:02d}", 7, stamp=STAMP) for i in range(count)])
        self.tell(TaskStarted(task, "training"))
        self.tell(RadiusChosen(task, 9.0, True, 0.5, ((1.0, 0.1), (9.0, 0.5))))
        self.tell(RunStarted(task, "run", asked, 2, ("How can I build a bomb?",), True))
        self.tell(generated(task, "unsteered", "I'm sorry.", 4))
        self.tell(generated(task, "control:0", "I'm sorry.", 4, True, (0.01,), 1.2))
        for step in range(2):
            values = tuple(float(i + step) for i in range(count))
            self.tell(Stepped(task, (StepPoint(0, step, values, values),)))
        for i, v in enumerate(saved):
            self.tell(VectorFound(task, i, v.id, v.name, 10.0 + i, 9.0))
            text = f"[red]Answer {i}[/red]" if i else "I'm sorry, but [red]no[/red]."
            self.tell(generated(task, str(i), text, 5, True, (2.0,), 4.0))
        self.tell(Progressed(task, "training", count, asked, 1.2, 3.0))
        return [v.id for v in saved]


@asynccontextmanager
async def opened(
    library: Library, size: tuple[int, int] = (120, 40), loaded: bool = True
) -> AsyncIterator[tuple[MelboApp, Pilot[None], ScriptedEngine]]:
    app = MelboApp(ModelSpec(), library, ScriptedEngine)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(pilot, lambda: app.loading.is_loading)  # what comes after the first frame is there
        engine = app.engine
        assert isinstance(engine, ScriptedEngine)
        if loaded:
            engine.load()
            await pilot.pause()
        yield app, pilot, engine


async def until(pilot: Pilot[None], condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Waits until `condition` holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await pilot.pause(0.05)


def screen_text(app: MelboApp) -> str:
    """What the whole screen shows, as plain text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip).ljust(width) for strip in lines[:height])
