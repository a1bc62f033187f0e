"""Models in the app: asked for, looked for, loaded; the one before stays, or comes back, where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Protocol

from textual.app import SystemCommand
from textual.notifications import SeverityLevel
from textual.screen import Screen

from core.engine.events import Event, ModelLoaded, ModelReleased, TaskEnded
from core.engine.requests import LoadModel, Request
from core.model.source import ModelSpec
from melbo_tui.attempts import why_not
from melbo_tui.faults import LoggedApp
from melbo_tui.last_filter import FilteredApp
from melbo_tui.line.app import TerminalApp


class EngineLike(Protocol):
    """What the app needs of an engine; tests give it a scripted one."""

    def submit(self, request: Request) -> int: ...
    def cancel(self, task: int) -> None: ...
    def pause(self, task: int, paused: bool = True) -> None: ...
    def close(self, timeout: float | None = 10.0) -> bool: ...


def is_there(spec: Callable[[str], ModelSpec], text: str) -> str:
    """Why there is no model as `spec` makes of `text`, or nothing where there is one; its weights are not read."""
    from core.model.config import located, shape_of

    wanted = spec(text)
    return why_not(lambda: shape_of(located(wanted), wanted.revision))


class LoadingApp(FilteredApp, LoggedApp, TerminalApp):
    """`spec` is of the model that is loaded or, while none is, of the one to come; `trouble` why there will be none."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.model: ModelLoaded | None = None
        self.trouble = ""
        self._loading: int | None = None
        self.asked = spec  # what is being loaded, or was last
        self._specs: dict[int, ModelSpec] = {}  # by the task that loads it
        self._released: ModelSpec | None = None  # the model that was let go for it
        self._failed: tuple[ModelSpec, str] | None = None  # what the user asked for in vain, and why

    @property
    def engine(self) -> EngineLike:
        raise NotImplementedError

    def show_state(self) -> None:
        """Shows which model is there and what the engine is doing."""
        raise NotImplementedError

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        yield from super().get_system_commands(screen)
        yield SystemCommand("Load a model", "bundled, smollm2, a folder, a .gguf file or a hub id", self._ask_for_model)
        yield SystemCommand(
            "Put on an adapter", "A PEFT adapter's folder; the model is loaded again with it", self._ask_for_adapter
        )
        if self._loading is not None:
            yield SystemCommand("Stop loading", "Give it up; the model before stays", self._stop_loading)

    def load_model(self, spec: ModelSpec) -> None:
        """Lets the engine load a model; the one before, and what runs on it, stay until the new one's files are there."""
        self._stop_loading()
        self.asked, self.trouble = spec, ""
        self._loading = self.engine.submit(LoadModel(spec))
        self._specs[self._loading] = spec
        self.show_state()

    def take_loading(self, event: Event) -> None:
        """Takes an engine event in."""
        if isinstance(event, ModelReleased):
            self.model, self._released = None, self.spec
        elif isinstance(event, ModelLoaded):
            self.model, self.spec, self._released = event, self._specs[event.task], None
        elif isinstance(event, TaskEnded) and event.task == self._loading:
            self._loading_ended(event)

    def _loading_ended(self, event: TaskEnded) -> None:
        self._loading = None
        if event.outcome == "done":
            return
        wrong = f"loading {self.asked.model} was stopped"
        if event.outcome == "failed":
            wrong = event.message + (f" ({event.remedy})" if event.remedy else "")
        self._failed = self.asked, wrong
        before, self._released = self._released, None
        if self.model is not None:
            stays = f"{self.model.label} is still loaded."
        elif before is not None:
            stays = f"{before.model} was let go to make room, and is loaded again."
            self.load_model(before)
        else:
            self.trouble, stays = wrong, "No model is loaded: Ctrl+P, Load a model, takes one."
        severity: SeverityLevel = "error" if event.outcome == "failed" else "information"
        self.notify(f"{wrong}\n{stays}", title="The model was not loaded", severity=severity, timeout=30, markup=False)

    def _ask_for_model(self) -> None:
        spec, wrong = self._failed or (self.spec, "")
        hint = "bundled, smollm2, a folder, a .gguf file or a hub id"
        self._ask_for("Load a model", spec.model, hint, wrong, self.spec_of)

    def _ask_for_adapter(self) -> None:
        spec, wrong = self._failed or (self.spec, "")
        hint = "a folder with adapter_config.json, or none for the model as it comes"
        self._ask_for(
            f"Put an adapter on {self.spec.model}", spec.adapter or "", hint, wrong if spec.adapter else "", self._with_adapter
        )

    def spec_of(self, model: str) -> ModelSpec:
        """Another model, to be loaded as this one is: device, dtype and trust stay."""
        return replace(self.spec, model=model, adapter=None, revision=None)

    def _with_adapter(self, folder: str) -> ModelSpec:
        return replace(self.spec, adapter=None if folder == "none" else folder)

    def _ask_for(self, question: str, value: str, hint: str, wrong: str, spec: Callable[[str], ModelSpec]) -> None:
        """Asks for what `spec` makes a model of; what is not there is told in the dialog, before anything is loaded."""
        from melbo_tui.widgets.dialogs import Ask

        def chosen(text: str | None) -> None:
            if text is not None:
                self._failed = None
                self.load_model(spec(text))

        look = partial(is_there, spec)
        self.push_screen(Ask(question, value, hint, attempt=look, slowly=True, wrong=wrong), chosen)

    def _stop_loading(self) -> None:
        if self._loading is not None:
            self.engine.cancel(self._loading)
