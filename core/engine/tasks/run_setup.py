"""What a training run starts from: its draws, its base vector, and what there is to doubt before it begins."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery import random
from core.discovery.method import Stepping
from core.discovery.objective import Problem
from core.discovery.optimisation import Job
from core.engine.given_files import read_draws
from core.engine.requests import Train
from core.engine.session import Session
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.steering.terms import SteerTerm, check_fits
from vectors.vector import Origin, SteeringVector


def starting_draws(model: LanguageModel, request: Train) -> Tensor:
    """The raw draws [vectors, d_model]: from the file that was named, or Gaussian."""
    if request.init is None:
        return random.draws(request.count, model.d_model, request.seed)
    rows = read_draws(request.init)
    if rows.shape[1] != model.d_model or len(rows) < request.count:
        raise SettingsError(
            f"{request.init} holds {rows.shape[0]} rows of width {rows.shape[1]}",
            f"{request.count} rows of width {model.d_model} are needed",
        )
    return torch.from_numpy(rows[: request.count].copy())


def settings_of(request: Train, model: LanguageModel, source: int) -> Stepping:
    """The method's own settings, those filled in that depend on the model."""
    batch = request.batch or (None if model.device.type == "cpu" else request.declaration.settings.gpu_batch)
    return request.own(batch=batch, source=source)


def base_vector(session: Session, name: str | None) -> SteeringVector | None:
    """The vector called `name`, given with the request or of the library; None where it is None.

    Raises SettingsError for another model's.
    """
    if not name:
        return None
    stamp, base = session.model.stamp, session.given.get(str(name))
    if base is None:
        if session.library is None:
            raise SettingsError("the base vector comes from the library, and there is none")
        base = session.library.load(session.library.find(str(name), stamp.label()).id)
    for warning in check_fits((SteerTerm(base),), stamp):
        raise SettingsError(f"the base cannot be used: {warning}", "choose a vector of the model that is loaded")
    return base


def draw_of(vector: SteeringVector) -> int:
    """Which of its run's draws a vector came from. Raises SettingsError where its file does not say."""
    draw = vector.origin.settings.get("draw")
    if not isinstance(draw, int) or draw < 0:
        raise SettingsError(f"{vector.id}: its file does not say from which draw it came", "start the run anew")
    return draw


def run_origin(
    request: Train, job: Job, source: int, target: int, base: SteeringVector | None, steps: int, created: float
) -> Origin:
    """Where the run's vectors come from: the request, and what was chosen for what it left open."""
    own = {name: value for name, value in vars(job.settings).items() if isinstance(value, (bool, int, float, str, list, tuple))}
    chosen = {**own, **vars(job.problem.objective), **request.settings, "tokens": request.tokens, "init": request.init}
    first = request.prompts[0]
    if "precision" in request.declaration.options:
        chosen["precision"] = job.problem.segments[0].precision
    chosen |= {"steps": steps, "raw": first.raw, "template": dict(first.template)}
    prompts, parents = tuple(prompt.shown() for prompt in request.prompts), (base.id,) if base is not None and base.id else ()
    return Origin(
        request.method, job.model.stamp, source, target, prompts, first.system, chosen, request.seed, job.radius,
        parents=parents, created=created,
    )  # fmt: skip


def doubts(problem: Problem) -> Iterator[str]:
    """What makes the run slower or its vectors poorer, in a sentence each."""
    segment = problem.segments[0]
    if not segment.replayed:
        yield f"{segment.reason}: the whole model runs at every step, which is slower"
    if segment.inexact:
        yield f"{segment.inexact}: in {segment.precision} radius and derivatives are inexact: load it with --dtype float32"
    dominant = problem.dominant_token()
    if dominant is not None:
        position, share = dominant
        yield (
            f"token {position} holds {share:.0%} of the target's activations (an attention sink): vectors may all come out "
            "alike; let the objective see fewer last tokens"
        )
