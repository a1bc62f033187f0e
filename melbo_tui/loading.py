"""Models in the app: asked for, looked for, loaded; the one before stays, or comes back, where that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from textual.app import App, SystemCommand
from textual.notifications import SeverityLevel

from core.engine.events import Event, ModelLoaded, ModelReleased, TaskEnded, Warned
from core.engine.requests import LoadModel
from core.model.source import ModelSpec
from melbo_tui.attempts import why_not

if TYPE_CHECKING:
    from core.engine.handle import EngineLike, Handle


def is_there(spec: Callable[[str], ModelSpec], text: str) -> str:
    """Why there is no model as `spec` makes of `text`, or nothing where there is one; its weights are not read."""
    from core.model.config import located, shape_of

    wanted = spec(text)
    return why_not(lambda: shape_of(located(wanted), wanted.revision))


@dataclass(eq=False)
class _Load:
    """A model that was asked for; `handle` is of the task that loads it."""

    spec: ModelSpec
    handle: Handle | None = None


class Loading:
    """`spec` is of the model that is loaded or, while none is, of the one to come; `trouble` why there will be none.

    `changed` is called when there is something else to show.
    """

    def __init__(
        self, app: App[None], spec: ModelSpec, engine: Callable[[], EngineLike], changed: Callable[[], object]
    ) -> None:
        self._app, self._engine, self._changed = app, engine, changed
        self.spec = self.asked = spec  # asked: what is being loaded, or was last
        self.model: ModelLoaded | None = None
        self.trouble = ""
        self._load: _Load | None = None
        self._released: ModelSpec | None = None  # the model that was let go for it
        self._failed: tuple[ModelSpec, str] | None = None  # what the user asked for in vain, and why

    def commands(self) -> Iterable[SystemCommand]:
        """What the command palette offers."""
        yield SystemCommand("Load a model", "bundled, smollm2, a folder, a .gguf file or a hub id", self.ask_for_model)
        yield SystemCommand(
            "Load an adapter", "A PEFT adapter's folder; the model is loaded again with it", self.ask_for_adapter
        )
        if self.is_loading:
            yield SystemCommand("Stop loading", "Stop; the previous model stays", self.stop)

    @property
    def is_loading(self) -> bool:
        return self._load is not None

    def load(self, spec: ModelSpec) -> None:
        """Lets the engine load a model; the one before, and what runs on it, stay until the new one's files are there."""
        self.stop()
        self.asked, self.trouble = spec, ""
        self._load = load = _Load(spec)
        load.handle = self._engine().submit(LoadModel(spec), partial(self._take, load))
        self._changed()

    def stop(self) -> None:
        if self._load is not None and self._load.handle is not None:
            self._load.handle.cancel()

    def _take(self, load: _Load, event: Event) -> None:
        if isinstance(event, ModelReleased):
            self.model, self._released = None, self.spec
        elif isinstance(event, ModelLoaded):
            self.model, self.spec, self._released = event, load.spec, None
        elif load is not self._load:
            return  # another was asked for since
        elif isinstance(event, Warned):
            title = "The model was loaded"
            self._app.notify(event.message, title=title, severity="warning", timeout=30, markup=False)
        elif isinstance(event, TaskEnded):
            self._loading_ended(event)

    def _loading_ended(self, event: TaskEnded) -> None:
        self._load = None
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
            stays = f"{before.model} was unloaded to make room, and is loaded again."
            self.load(before)
        else:
            self.trouble, stays = wrong, "No model is loaded: Ctrl+P, Load a model, loads one."
        severity: SeverityLevel = "error" if event.outcome == "failed" else "information"
        self._app.notify(f"{wrong}\n{stays}", title="The model was not loaded", severity=severity, timeout=30, markup=False)

    def ask_for_model(self) -> None:
        spec, wrong = self._failed or (self.spec, "")
        hint = "bundled, smollm2, a folder, a .gguf file or a hub id"
        self._ask_for("Load a model", spec.model, hint, wrong, self.spec_of)

    def ask_for_adapter(self) -> None:
        spec, wrong = self._failed or (self.spec, "")
        hint = "a folder with adapter_config.json, or none"
        self._ask_for(
            f"Load an adapter on {self.spec.model}", spec.adapter or "", hint, wrong if spec.adapter else "", self._with_adapter
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
                self.load(spec(text))

        look = partial(is_there, spec)
        self._app.push_screen(Ask(question, value, hint, attempt=look, slowly=True, wrong=wrong), chosen)
