"""What tasks work with: the loaded model and the library. One session lives in one thread."""

from __future__ import annotations

import importlib
import importlib.metadata
import traceback
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any

from core.engine.events import Event, ModelLoaded, TaskEnded, Warned
from core.engine.requests import Request
from core.errors import OUT_OF_MEMORY_REMEDY, Cancelled, MelboError, ModelError, first_line, is_out_of_memory
from core.log import LOG, failed, fault_remedy
from core.redaction import redacted
from vectors.store.index import LibraryError
from vectors.vector import VectorError

if TYPE_CHECKING:
    from core.model.language_model import LanguageModel
    from core.model.source import ModelSpec
    from vectors.store.library import Library
    from vectors.vector import SteeringVector

Emit = Callable[[Event], None]
# A task yields between its steps, at points where it may be paused or ended. `Cancelled` is thrown in there when the user stops
# it: a task may catch that to finish what is cheap, in further steps, before it raises it again. One that is closed must end
# at once. A task that waits for another thread may yield that thread's future: others run until it is done.
Task = Generator[Any, None, None]


class Session:
    """Owns the model and the device. `library` None: nothing is saved. `given` are vectors that a request may name beside
    the library's.

    `waits_for_space`: somebody is there to make room on a full disk, so a task that could not save what it made waits for it.
    """

    def __init__(
        self,
        library: Library | None = None,
        waits_for_space: bool = False,
        given: Mapping[str, SteeringVector] | None = None,
    ) -> None:
        self.library, self.waits_for_space = library, waits_for_space
        self.given = given or {}
        self._model: LanguageModel | None = None
        self.spec: ModelSpec | None = None  # what the model was asked for as, to load it again
        # Ends the other tasks, which hold the model that is about to be replaced; whoever runs several at once sets it.
        self.end_others: Callable[[int], None] = lambda task: None

    @property
    def model(self) -> LanguageModel:
        if self._model is None:
            raise ModelError("no model is loaded", "load one first: choose a model, or start with --model")
        return self._model

    @model.setter
    def model(self, model: LanguageModel | None) -> None:
        self._model = model

    @property
    def has_model(self) -> bool:
        return self._model is not None

    def start(self, task: int, request: Request, emit: Emit) -> Generator[Any, None, Any]:
        """The generator that carries out `request`, its module imported at the first step; its events bear the id `task`.
        It returns what the task does: a training run `Trained`, the others nothing.

        What goes wrong is logged on the way.
        """
        asked = request.described

        def told(event: Event) -> None:
            if isinstance(event, Warned):
                LOG.warning("%s: %s", asked, event.message)
            elif isinstance(event, ModelLoaded):
                LOG.info(
                    "loaded %s (%s, %s on %s; %s)", event.label, event.architecture, event.dtype, event.device, _versions()
                )
            emit(event)

        try:
            return (yield from importlib.import_module(request.task_module).run(self, request, task, told))
        except Exception as error:
            if not isinstance(error, Cancelled):
                failed(f"{asked} ({_versions()})", error)
            raise


def _versions() -> str:
    return ", ".join(f"{package} {importlib.metadata.version(package)}" for package in ("torch", "transformers"))


def failure(task: int, error: BaseException) -> TaskEnded:
    """The event for an exception that ended a task: what happened, and what to do about it."""
    details = redacted("".join(traceback.format_exception(error)))
    if isinstance(error, Cancelled):
        return TaskEnded(task, "cancelled")
    if isinstance(error, MelboError):
        return TaskEnded(task, "failed", str(error), error.remedy, details)
    if isinstance(error, (VectorError, LibraryError)):
        return TaskEnded(task, "failed", str(error), "", details)
    if is_out_of_memory(error):
        return TaskEnded(task, "failed", "out of memory", OUT_OF_MEMORY_REMEDY, details)
    return TaskEnded(task, "failed", first_line(error), fault_remedy(), details)
