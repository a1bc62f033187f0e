"""Scores the methods on the bundled adapter's secrets, trial by trial; writes each down, and goes on with what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import Any

from core.engine.evaluation_requests import ScoreOrganism
from core.engine.events import Progressed, TrialDone
from core.engine.session import Emit, Session, Task
from core.engine.tasks.load import loaded
from core.engine.tasks.saving import Saving
from core.engine.throughput import Pace
from core.engine.unfinished import ScoreHeader, Whose
from core.errors import ModelError, SettingsError
from core.evaluation.damage import Limits
from core.model.source import ModelSpec, resolve
from core.organism.score import Facts, Tried, Work, attempt, measure_limits, plan
from vectors.files.bounded import decoded
from vectors.store.checkpoints import Checkpoints
from vectors.store.library import new_run_id


def run(session: Session, request: ScoreOrganism, task: int, emit: Emit) -> Task:
    model, library = session.model, session.library
    if library is None:
        raise SettingsError("scores are kept in the library, and there is none")
    if model.stamp.label() != resolve("bundled").label:
        raise ModelError(f"{model.stamp.label()} is not loaded with the bundled adapter", "use --model bundled")
    kept = Checkpoints(library.folder, "scores")
    header: dict[str, Any] = {"request": request.to_json(), "model": model.stamp.label(), "trials": {}}
    score = request.resume or new_run_id()
    if request.resume is not None:
        left = kept.load(score)
        if (whose := left.told(Whose)).fingerprint != model.stamp.fingerprint:
            raise SettingsError(f"score {score} is of another adapter: {whose.model}", "start a new one")
        told = left.told(ScoreHeader)
        header = {**left.header, "trials": dict(told.trials)}
        if told.fluency is not None:
            header["fluency"] = told.fluency
        request = told.request
    header["fingerprint"] = model.stamp.fingerprint
    trials = plan(request.ways, request.n_prompts, request.seeds, request.vectors, request.scales)
    fresh = [trial for trial in trials if trial.key not in header["trials"]]
    # The published loop takes 300 steps where the others take 5.
    weight = {trial.key: 25.0 if trial.way == "adamw" else 1.0 for trial in fresh}
    pace = Pace(sum(weight.values()))

    def tell(stage: str) -> None:
        done = len(header["trials"])
        emit(Progressed(task, stage, done, len(trials), None, pace.eta))

    saving = Saving(session, task, emit, "the trials")
    tell("loading the unadapted model")
    yield
    dtype = str(model.dtype).removeprefix("torch.")
    base = loaded(ModelSpec("smollm2", dtype=dtype, device=str(model.device)))
    yield
    if "fluency" not in header:
        tell("measuring what is fluent")
        header["fluency"] = asdict((yield from measure_limits(base)))
    tried = Tried(model, base, decoded(Limits, header["fluency"]))
    for trial in fresh:
        facts = yield from _told(attempt(tried, trial), partial(tell, trial.key))
        header["trials"][trial.key] = {**asdict(trial), **facts}
        saving.attempt(lambda: kept.save(score, header, {}))
        pace.tick(weight[trial.key])
        emit(TrialDone(task, score, trial.key, header["trials"][trial.key]))
        yield
    if saving.trouble is not None:
        yield from saving.at_last(lambda: kept.save(score, header, {}), lambda: tell("waiting for space on the disk"))
    tell("done")


def _told(work: Work, tell: Callable[[], object]) -> Work:
    """`work`, told at every step: a trial may take minutes."""
    while True:
        tell()
        try:
            yield next(work)
        except StopIteration as end:
            facts: Facts = end.value
            return facts
