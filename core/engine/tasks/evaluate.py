"""Runs a metric, reports as it goes, and keeps what it came to in the library, also when it is stopped."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Progressed, Reported, Warned
from core.engine.session import Emit, Session, Task
from core.engine.tasks.run_setup import base_vector
from core.engine.tasks.saving import Saving
from core.engine.throughput import Pace
from core.errors import SettingsError
from core.evaluation.context import Context, Step
from core.model.prompts import prompt_ids
from core.redaction import redacted
from core.steering.terms import check_fits, kept_terms
from vectors.store.index import LibraryError
from vectors.store.library import new_run_id
from vectors.store.reports import Report, Reports, whom
from vectors.vector import VectorError

_TELL_SECONDS, _SAVE_SECONDS = 1.0, 15.0
_TELL_SHARE = 20  # telling takes a twentieth of the time at most


def run(session: Session, request: Evaluate, task: int, emit: Emit) -> Task:
    metric = request.declaration
    context = _context(session, request, task, emit)
    id, created = new_run_id(), time.time()
    pace, stage = Pace(0.0), f"{request.metric} of {whom([condition.name for condition in context.named])}"
    last: Step | None = None
    warned = 0
    told_at = saved_at = time.monotonic()
    tell_after = _TELL_SECONDS

    saving = Saving(session, task, emit, "the tables")
    made: list[Report] = []  # the last

    def save() -> None:
        if session.library is not None and made:
            Reports(session.library.folder).save(id, made[-1])

    def told(complete: bool, keep: bool) -> None:
        assert last is not None
        report = replace(
            last.report(),
            model=session.model.stamp.label(),
            vectors=tuple(condition.name for condition in context.named),
            prompts=tuple(prompt.shown() for prompt in context.prompts),
            settings={name: _kept_setting(value) for name, value in request.settings.items()},
            created=created,
            complete=complete,
            ids=tuple(steering[0].vector.id if len(steering) == 1 else "" for steering in request.steerings),
            steerings=tuple(map(kept_terms, request.steerings)),
        )
        made[:] = [report]
        if keep:
            saving.attempt(save)
        emit(Reported(task, id, report))

    emit(Progressed(task, stage, 0, 1))
    yield
    whole = False
    try:
        for step in metric.load().measure(context):
            pace.total = step.total
            pace.tick(step.done - (last.done if last is not None else 0))
            last = step
            for warning in context.warnings[warned:]:
                emit(Warned(task, warning))
            warned = len(context.warnings)
            emit(Progressed(task, stage, step.done / step.total, 1, None, pace.eta))
            now = time.monotonic()
            if now - told_at > tell_after:
                keep = now - saved_at > _SAVE_SECONDS
                told(False, keep)
                told_at, saved_at = time.monotonic(), now if keep else saved_at
                tell_after = max(_TELL_SECONDS, _TELL_SHARE * (told_at - now))  # a report of thousands takes its time
            yield
        whole = True
    finally:
        if last is not None:
            told(whole, True)
        if not whole and saving.trouble is not None:
            raise saving.trouble
    if saving.trouble is not None:
        yield from saving.at_last(save, lambda: emit(Progressed(task, "waiting for space on the disk", 1, 1)))


def _kept_setting(value: Any) -> Any:
    """A setting's `value` as it is kept and shown: a judge's command line may have a secret in it."""
    return redacted(value) if isinstance(value, str) else value


def _context(session: Session, request: Evaluate, task: int, emit: Emit) -> Context:
    """The request's vectors and prompts on the model that is loaded. Raises SettingsError."""
    model = session.model
    for warning in dict.fromkeys(check_fits([term for steering in request.steerings for term in steering], model.stamp)):
        emit(Warned(task, warning))
    prompts = request.asked
    settings = request.own
    base = base_vector(session, getattr(settings, "base", None))
    if base is None and "base" in request.declaration.options and (family := _of_family(request)):
        try:
            base = base_vector(session, family)
        except (LibraryError, VectorError, SettingsError) as error:
            emit(Warned(task, f"no KL to the family's base: {error}"))
    ids = [prompt_ids(model, prompt) for prompt in prompts]
    metric = request.declaration
    tokens = request.tokens or metric.tokens
    controls = request.controls if request.controls is not None else metric.controls
    return Context(model, request.steerings, prompts, ids, controls, tokens,
                 request.seed, settings, request.answers, base, request.thought_tokens)  # fmt: skip


_COMBINED = {"recipe", "joined", "projected off"}  # settings of vectors that are made of others


def _of_family(request: Evaluate) -> str | None:
    """The base of the one family that all vectors are of, trained here or imported; it may be among them itself."""
    # The parents of a mixture, or of a vector joined of others, are no base.
    bases = {
        vector.id: vector.origin.parents[0] if vector.origin.parents and not _COMBINED & vector.origin.settings.keys() else None
        for vector in request.vectors
    }
    strangers, families = {id for id, base in bases.items() if base is None}, {base for base in bases.values() if base}
    return next(iter(families)) if len(families) == 1 and strangers <= families else None
