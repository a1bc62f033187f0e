"""A training run: calibrate, discover in batches, save each batch, let every vector speak beside random controls."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.discovery.calibration import calibrate
from core.discovery.melbo import Found, MelboSettings, Step, melbo
from core.discovery.objective import Objective, Problem
from core.discovery.projections import unit
from core.errors import SettingsError
from core.events import CONTROL, UNSTEERED, Progressed, RadiusChosen, RunStarted, Stepped, StepPoint, VectorFound, Warned
from core.generation import Row, Sampling
from core.language_model import LanguageModel
from core.pace import Pace
from core.prompting import prompt_ids
from core.requests import Train, default_blocks, parse_tokens
from core.segment import Segment
from core.session import Emit, Session, Task
from core.steering import SteerTerm
from core.tasks.reply import speak
from vectors.formats import safetensors_file
from vectors.library import Sample, new_run_id
from vectors.plain_text import stem_of
from vectors.vector import Origin, SteeringVector

# What letting a vector speak costs beside training it, for the ETA until it is measured (0.8 on both measured models).
_SPEAKING_SHARE = 0.8


def run(session: Session, request: Train, task: int, emit: Emit) -> Task:
    yield from _Run(session, request, task, emit).steps()


class _Run:
    """One run: what it was asked for, and what it has made so far."""

    def __init__(self, session: Session, request: Train, task: int, emit: Emit) -> None:
        self.session, self.request, self.task, self.emit = session, request, task, emit
        self.model: LanguageModel = session.model
        source, target = default_blocks(len(self.model.blocks))
        self.source = source if request.source is None else request.source
        self.target = target if request.target is None else request.target
        self.ids = [prompt_ids(self.model, prompt) for prompt in request.prompts]
        self.run_id = new_run_id()
        self.stem = request.name or stem_of(request.prompts[0].text)
        library = session.library
        self.first_number = library.next_number(self.stem, self.model.stamp.label()) if library is not None else 1
        self.vectors: list[SteeringVector] = []
        self.losses: list[np.ndarray] = []

    def steps(self) -> Task:
        request = self.request
        self._tell("reading the prompt")
        start = self._start()
        objective = Objective(request.power, request.root, request.norm_axis, parse_tokens(request.tokens))
        segments = [Segment(self.model, ids, self.source, self.target) for ids in self.ids]
        problem = Problem(segments, objective)
        yield
        self._warn(problem)
        radius = yield from self._radius(problem)
        settings = MelboSettings(
            radius,
            request.steps,
            request.optimizer,
            request.orthogonal,
            request.batch or (8 if self.model.device.type == "cpu" else 32),
            request.learning_rate,
        )
        self.origin = self._origin(settings)
        self.emit(
            RunStarted(
                self.task,
                self.run_id,
                request.vectors,
                settings.step_count,
                tuple(prompt.shown() for prompt in request.prompts),
                segments[0].replayed,
                segments[0].reason,
            )
        )
        yield from self._controls(radius)
        steps = settings.step_count
        self.pace = Pace(request.vectors * steps * (1 + _SPEAKING_SHARE * self._speaks))
        for event in melbo(problem, settings, start):
            if isinstance(event, Step):
                self._stepped(event, steps)
            else:
                yield from self._found(event, steps)
            yield

    @property
    def _speaks(self) -> bool:
        return self.model.has_tokenizer and self.request.sample_tokens > 0

    def _start(self) -> Tensor:
        """The raw draws [vectors, d_model]: from the file that was named, or Gaussian, each row the same for any count."""
        request = self.request
        if request.init is None:
            generator = torch.Generator().manual_seed(request.seed)
            return torch.stack([torch.randn(self.model.d_model, generator=generator) for _ in range(request.vectors)])
        path, _, tensor = request.init.partition(":")
        rows = np.atleast_2d(safetensors_file.read_tensor(Path(path), tensor or "vectors"))
        if rows.shape[1] != self.model.d_model or len(rows) < request.vectors:
            raise SettingsError(
                f"{request.init} holds {rows.shape[0]} rows of width {rows.shape[1]}",
                f"{request.vectors} rows of width {self.model.d_model} are needed",
            )
        return torch.from_numpy(rows[: request.vectors].copy())

    def _warn(self, problem: Problem) -> None:
        segment = problem.segments[0]
        if not segment.replayed:
            self.emit(Warned(self.task, f"{segment.reason}: the whole model runs at every step, which is slower"))
        dominant = problem.dominant_token()
        if dominant is not None:
            position, share = dominant
            self.emit(
                Warned(
                    self.task,
                    f"token {position} holds {share:.0%} of the target's activations (an attention sink): vectors may all "
                    "come out alike; let the objective see fewer last tokens",
                )
            )

    def _radius(self, problem: Problem) -> Generator[None, None, float]:
        if self.request.radius is not None:
            self.emit(RadiusChosen(self.task, self.request.radius, automatic=False))
            return self.request.radius
        self._tell("choosing the radius")
        found = yield from calibrate(problem, seed=self.request.seed)
        self.emit(RadiusChosen(self.task, found.radius, True, found.ratio, found.curve))
        return found.radius

    def _controls(self, radius: float) -> Task:
        """What the model says unsteered, and under random vectors of the same norm: the control beside every finding."""
        if not self._speaks:
            return
        self._tell("listening to the unsteered model")
        generator = torch.Generator().manual_seed(self.request.seed + 1_000_003)
        draws = radius * unit(torch.randn(self.request.controls, self.model.d_model, generator=generator))
        origin = replace(self.origin, method="random")
        rows = [self._row(UNSTEERED, None)]
        rows += [self._row(f"{CONTROL}:{i}", SteeringVector(draw.numpy(), self.source, origin)) for i, draw in enumerate(draws)]
        yield from speak(self.model, rows, self.task, self.emit)

    def _stepped(self, step: Step, steps: int) -> None:
        self.pace.tick(len(step.objective))
        self.emit(Stepped(self.task, (StepPoint(step.first, step.step, step.objective, step.gradient_norm),)))
        self._tell_pace(f"training, step {step.step + 1} of {steps}")

    def _found(self, found: Found, steps: int) -> Task:
        loss = found.losses.cpu().numpy()
        fresh = []
        for i, (vector, objective) in enumerate(zip(found.vectors.cpu(), found.objective.tolist(), strict=True)):
            name = f"{self.stem}-{self.first_number + found.first + i:02d}"
            fresh.append(SteeringVector(vector.numpy(), self.source, replace(self.origin, loss=-objective), name))
        self.vectors += fresh
        self.losses.append(loss)
        if self.session.library is not None:
            self.vectors = self.session.library.save_run(self.run_id, self.vectors, np.concatenate(self.losses))
        if self.request.out is not None:
            safetensors_file.write(Path(self.request.out), self.vectors, np.concatenate(self.losses))
        for i, objective in enumerate(found.objective.tolist()):
            vector = self.vectors[found.first + i]
            self.emit(VectorFound(self.task, found.first + i, vector.id, vector.name, objective, vector.norm))
        yield
        yield from self._let_speak(self.vectors[found.first :], found.first, steps)

    def _let_speak(self, vectors: list[SteeringVector], first: int, steps: int) -> Task:
        if not self._speaks:
            return
        rows = [self._row(str(first + i), vector) for i, vector in enumerate(vectors)]
        units = len(vectors) * steps * _SPEAKING_SHARE
        each = units / self.request.sample_tokens
        speaking = speak(self.model, rows, self.task, self.emit)
        while True:
            try:
                next(speaking)
            except StopIteration as stop:
                said = stop.value
                break
            counted = min(each, units)
            units -= counted
            self.pace.tick(counted)
            self._tell_pace("listening to the new vectors")
            yield
        self.pace.tick(units)
        if self.session.library is not None:
            for i, vector in enumerate(vectors):
                sample = Sample(self.request.prompts[0].shown(), 1.0, said[str(first + i)].text)
                self.session.library.add_sample(vector.id, sample)

    def _row(self, key: str, vector: SteeringVector | None) -> Row:
        steering = () if vector is None else (SteerTerm(vector),)
        return Row(key, self.ids[0], steering, Sampling(max_new_tokens=self.request.sample_tokens), watched=True)

    def _origin(self, settings: MelboSettings) -> Origin:
        request = self.request
        names = ("power", "root", "norm_axis", "tokens", "optimizer", "learning_rate", "orthogonal", "init")
        chosen = {name: getattr(request, name) for name in names} | {"steps": settings.step_count}
        first = request.prompts[0]
        chosen |= {"raw": first.raw, "template": dict(first.template)}
        return Origin(
            request.method,
            self.model.stamp,
            self.source,
            self.target,
            tuple(prompt.shown() for prompt in request.prompts),
            first.system,
            chosen,
            request.seed,
            settings.radius,
            created=time.time(),
        )

    def _tell(self, stage: str) -> None:
        self.emit(Progressed(self.task, stage, 0, self.request.vectors))

    def _tell_pace(self, stage: str) -> None:
        per_vector = self.pace.total / self.request.vectors
        rate = self.pace.rate
        self.emit(
            Progressed(
                self.task,
                stage,
                self.pace.done / per_vector,
                self.request.vectors,
                rate / per_vector if rate else None,
                self.pace.eta,
            )
        )
