"""Loads a model into the session, with progress. The one before it stays until the new one's files are there and readable,
and is let go before the new weights are read: two models never have to fit into memory at once.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from core.engine.background import in_background
from core.engine.events import ModelLoaded, ModelReleased, Progressed, Warned
from core.engine.generators import drained
from core.engine.requests import LoadModel
from core.engine.session import Emit, Session, Task
from core.memory.heap import give_back

if TYPE_CHECKING:
    from core.model.language_model import LanguageModel
    from core.model.source import ModelSpec


_TELLING_SECONDS = 2.0


def loaded(spec: ModelSpec) -> LanguageModel:
    """The model that `spec` asks for, for code that runs without an engine. Raises ModelError."""
    session = Session()
    drained(run(session, LoadModel(spec), 0, lambda event: None))
    return session.model


def run(session: Session, request: LoadModel, task: int, emit: Emit) -> Task:
    began = time.monotonic()
    spec = request.spec

    pace = _Pace()

    def progress(stage: str, fraction: float | None) -> None:
        emit(Progressed(task, stage, fraction or 0.0, 0.0 if fraction is None else 1.0, None, pace.left(stage, fraction)))

    progress("starting the engine", None)
    first = "core.model.language_model" not in sys.modules
    with _no_collection():
        from core.model.language_model import (  # torch and transformers, after the first frame
            LanguageModel,
            convert_gguf,
            read_config,
        )
    if first:
        gc.freeze()  # what was imported stays; a model does not, and is never frozen
    from core.model.config import check_folder, located
    from core.model.memory import conversion_fits
    from core.model.store import local_folder

    source = located(spec)
    if not conversion_fits(source):
        _release(session, task, emit)
    made = lambda tell: local_folder(source, spec.revision, spec.trust_remote_code, tell, convert_gguf)  # noqa: E731
    folder = yield from in_background(made, progress)
    if session.has_model:  # which a folder that cannot be read must not cost
        check_folder(folder)
        read_config(folder, spec.trust_remote_code)
    yield
    _release(session, task, emit)
    with _no_collection():
        model = LanguageModel.load(
            folder,
            source.name,
            dtype=spec.dtype,
            device=spec.device,
            device_map=spec.device_map,
            max_memory=spec.max_memory,
            quantise=spec.quantise,
            adapter=source.adapter,
            revision=spec.revision,
            trust_remote_code=spec.trust_remote_code,
            progress=progress,
        )
    session.model, session.spec = model, spec
    emit(
        ModelLoaded(
            task,
            name=model.stamp.name,
            adapter=model.stamp.adapter,
            architecture=type(model.model).__name__,
            n_blocks=len(model.blocks),
            d_model=model.d_model,
            dtype=str(model.dtype).removeprefix("torch.") + (f" {spec.quantise}" if spec.quantise else ""),
            device=str(model.device),
            fingerprint=model.stamp.fingerprint,
            has_tokenizer=model.has_tokenizer,
            parameters=sum(p.numel() for p in model.model.parameters()),
            seconds=time.monotonic() - began,
        )
    )
    for note in model.notes:
        emit(Warned(task, note))


class _Pace:
    """How long a stage that tells its share will still take, once it has gone on for a little."""

    def __init__(self) -> None:
        self._stage, self._began, self._first = "", 0.0, 0.0

    def left(self, stage: str, fraction: float | None) -> float | None:
        """Seconds; None while that cannot be told. What stands behind a stage's comma changes as it goes on."""
        stage, now = stage.partition(",")[0], time.monotonic()
        if stage != self._stage or fraction is None or fraction < self._first:
            self._stage, self._began, self._first = stage, now, fraction or 0.0
        if fraction is None or fraction <= self._first or now - self._began < _TELLING_SECONDS:
            return None
        return (1 - fraction) * (now - self._began) / (fraction - self._first)


def _release(session: Session, task: int, emit: Emit) -> None:
    """Lets the session's model go, if it has one, with all that runs on it, so that its memory is free."""
    if not session.has_model:
        return
    session.end_others(task)
    session.model, session.spec = None, None
    emit(ModelReleased(task))
    gc.collect()
    give_back()
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Imports and loads without garbage collection: a fifth faster, for nothing that is made here can be let go yet."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
