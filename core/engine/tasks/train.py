"""A training run: calibrate, discover, save, sample every vector beside random controls; resume where it was left."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import asdict, replace
from typing import Any

import torch

from core.discovery.calibration import calibrate
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Ended, Found, Job, Step
from core.engine.events import (
    Generated,
    Progressed,
    RadiusChosen,
    RunStarted,
    RunStopped,
    Stepped,
    StepPoint,
    VectorFailed,
    VectorsLeftOut,
    Warned,
)
from core.engine.out_file import OutFile
from core.engine.requests import Train
from core.engine.results import Trained
from core.engine.session import Emit, Session, Task
from core.engine.tasks.run_setup import base_vector, doubts, run_origin, settings_of, starting_draws
from core.engine.tasks.run_vectors import RunVectors, announcement, median_norm
from core.engine.tasks.sampling import STEPS_A_TOKEN, Sampler
from core.engine.tasks.saving import Saving
from core.engine.tasks.selecting import Selection, counted
from core.engine.throughput import Pace, Turns
from core.engine.unfinished import RunHeader, Whose
from core.errors import Cancelled, SettingsError
from core.memory.halving import halved
from core.model.language_model import LanguageModel
from core.model.mixed_precision import precision_of
from core.model.prompts import pinned, prompt_ids
from core.model.source import default_blocks
from core.segment.objective_tokens import parse_tokens
from core.segment.segment import Segment
from core.steering.divergence import Likeness
from vectors.block_ranges import places
from vectors.plain_text import clean_name, stem_of
from vectors.store.checkpoints import Checkpoint, Checkpoints
from vectors.store.index import LibraryError
from vectors.store.library import new_run_id
from vectors.vector import called

# A run that is killed loses at most the steps of so many seconds.
_CHECKPOINT_SECONDS = 15.0


def run(session: Session, request: Train, task: int, emit: Emit) -> Generator[Any, None, Trained]:
    one = _Run(session, request, task, emit)
    with one.checkpoints.held(one.run_id) if one.checkpoints is not None else nullcontext():
        yield from one.steps()
    return Trained(task, one.run_id, tuple(one.made.vectors), one.made.losses)


class _Run:
    """One run: what it was asked for, and what it has made so far."""

    def __init__(self, session: Session, request: Train, task: int, emit: Emit) -> None:
        self.session, self.task, self.emit = session, task, emit
        self.model: LanguageModel = session.model
        self.checkpoints = Checkpoints(session.library.folder) if session.library is not None else None
        self.left: Checkpoint | None = None
        self.told: RunHeader | None = None
        if request.resume is not None:
            self.left, self.told = self._checkpoint(request.resume)
        if self.told is not None:  # as it was asked for then, but for another file that its vectors go to as well
            out, force = request.out, request.force
            request = self.told.request if out is None else replace(self.told.request, out=out, force=force)
        self.request = request = replace(request, prompts=tuple(pinned(self.model, prompt) for prompt in request.prompts))
        source, target = default_blocks(len(self.model.blocks))
        self.target = target if request.target is None else request.target
        self.ids = [prompt_ids(self.model, prompt) for prompt in request.prompts]
        self.run_id = self.left.run if self.left is not None else new_run_id()
        out_file = OutFile(request.out, self.run_id, request.force) if request.out is not None else None
        stem = clean_name(request.name) if request.name else stem_of(request.prompts[0].text)
        self.method = request.declaration
        self.base = base_vector(session, getattr(request.own(), "base", None))
        if self.base is not None and len(self.base.blocks) > 1:
            wrong = f"{called(self.base)} acts at {places(self.base.blocks)}, and a family's vectors at one block"
            raise SettingsError(wrong, "name a base vector of one block")
        # A family lives where its base does.
        source = self.base.block if self.base is not None else source
        self.source = source if request.source is None else request.source
        if self.base is not None and self.base.block != self.source:
            raise SettingsError(f"{self.base.name} acts on block {self.base.block}, not {self.source}", "leave the source out")
        library = session.library
        first_number = library.next_number(stem, self.model.stamp.label()) if library is not None else 1
        self.settings = settings_of(request, self.model, self.source)
        self.step_count = int(self.settings.step_count)
        wanted = getattr(self.settings, "precision", "auto")
        self.precision = precision_of(self.model, wanted, self.settings.bears_bfloat16)
        kinds = "the vectors", "the vectors for the file", "the steps", "the samples"
        saving, copying, self.noting, samples = (Saving(session, task, emit, kind) for kind in kinds)
        self.made = RunVectors(self.run_id, stem, library, out_file, saving, copying, first_number)
        self.sampler = Sampler(self.model, self.ids[0], request, task, emit, library, self._tell, samples)
        self.selection = Selection(self.model, self.ids[0], request)
        self.turns = Turns(Pace(request.count * self.step_count), self.sampler.pace, STEPS_A_TOKEN)
        self.saved_at = time.monotonic()

    def steps(self) -> Task:
        request = self.request
        self._tell("reading the prompt")
        start = starting_draws(self.model, request)
        objective = Objective(**self.settings.objective, tokens=parse_tokens(request.tokens))
        segments = [Segment(self.model, ids, self.source, self.target) for ids in self.ids]
        problem = Problem(segments, objective, getattr(self.settings, "batch", 8), self._shrunk)
        base = None if self.base is None else torch.tensor(self.base.direction)
        job = Job(problem, start, self.settings, self.model, base=base, like=request.prompts[0])
        yield
        for warning in doubts(problem):
            self.emit(Warned(self.task, warning))
        job.radius = yield from self._radius(problem)
        job.problem = problem.in_precision(self.precision)
        created = time.time() if self.told is None else self.told.created
        self.origin = run_origin(request, job, self.source, self.target, self.base, self.step_count, created)
        self.likeness = Likeness(self.model, self.ids[0], self.source, base) if base is not None else None
        self.emit(
            RunStarted(
                self.task,
                self.run_id,
                request.count,
                self.step_count,
                tuple(prompt.shown() for prompt in request.prompts),
                segments[0].replayed,
                segments[0].reason,
                request.method,
                len(self.made.vectors),
                self.likeness.unsteered if self.likeness is not None else None,
            )
        )
        try:
            if self.left is not None and self.told is not None:
                yield from self._take_up(job, self.left, self.told)
            norm = self._control_norm(job)
            if norm is not None:
                yield from self.sampler.controls(norm, self.source, self.origin)
            yield from self.sampler.rest()  # the samples that an interrupted run lacks
            yield from self._discover(job)
        except GeneratorExit:  # the program ends, or the model goes: there is time for no more
            self._save_state(job)
            self._raise_unsaved()
            raise
        except Cancelled:  # stopped by the user, who may want to go on some day
            self._save_state(job)
            yield from self.sampler.parting()
            yield from self._all_saved()
            self._raise_unsaved()
            raise
        if self.checkpoints is not None:
            try:
                self.checkpoints.drop(self.run_id)
            except LibraryError as error:  # the run is done and saved all the same
                self.emit(Warned(self.task, str(error)))

    def _discover(self, job: Job) -> Task:
        late: Step | None = None
        self.turns.first.begin()
        for event in self.method.load().find(job):
            # A step is read when the next one is under way: to read it at once would be to wait for the device.
            if late is not None:
                self._stepped(late)
            late = event if isinstance(event, Step) else None
            if isinstance(event, Found):
                yield from self._found(event, job)
            elif isinstance(event, Ended):
                self.emit(RunStopped(self.task, event.reason))
            if time.monotonic() - self.saved_at > _CHECKPOINT_SECONDS:
                self._save_state(job)
                if self.made.untold:
                    yield from self._announced()
            yield
        if late is not None:
            self._stepped(late)
        yield from self._all_saved()
        yield from self.sampler.rest()
        yield from self._all_saved()

    # Interruptions

    def _checkpoint(self, run: str) -> tuple[Checkpoint, RunHeader]:
        if self.checkpoints is None:
            raise SettingsError("runs are kept in the library, and there is none")
        left = self.checkpoints.load(run)
        whose = left.told(Whose)
        if whose.fingerprint != self.model.stamp.fingerprint:
            raise SettingsError(f"run {run} was made on {whose.model}, not on {self.model.stamp.label()}")
        return left, left.told(RunHeader)

    def _save_state(self, job: Job) -> None:
        """Writes down how far the run has come, so that it can be taken up again."""
        self.saved_at = time.monotonic()
        # How far it has come counts the vectors: it must not be written where they are not.
        if not self.made.saving.attempt(self.made.save):
            return
        self.made.copying.attempt(self.made.copy_out)
        if self.checkpoints is None:
            return
        stamp, spec = self.model.stamp, self.session.spec
        # The steps by number: another version may have another default.
        request = replace(self.request, steps=self.step_count)
        if "precision" in self.method.options:  # another machine may choose another
            request = replace(request, settings={**request.settings, "precision": self.precision})
        header = {
            "request": request.to_json(), "spec": asdict(spec) if spec is not None else None, "model": stamp.label(),
            "fingerprint": stamp.fingerprint, "radius": job.radius, "done": job.done,
            "failed": {str(draw): cause for draw, cause in self.made.failed.items()},
            "first_number": self.made.first_number, "created": self.origin.created, "control_norm": self.sampler.control_norm,
        }  # fmt: skip
        live = job.live.state() if job.live is not None else {}
        checkpoints, tensors = self.checkpoints, {name: tensor.numpy() for name, tensor in live.items()}
        self.noting.attempt(lambda: checkpoints.save(self.run_id, header, tensors))

    def _all_saved(self) -> Task:
        """Saves and announces what could not be before. Raises LibraryError where it cannot be even now."""

        def waiting() -> None:
            self._tell("waiting for space on the disk")

        yield from self.made.saving.at_last(self.made.save, waiting)
        if self.made.untold:
            yield from self._announced()
        yield from self.made.copying.at_last(self.made.copy_out, waiting)
        yield from self.sampler.saving.at_last(self.sampler.save, waiting)

    def _raise_unsaved(self) -> None:
        for saving in (self.made.saving, self.made.copying, self.noting, self.sampler.saving):
            if saving.trouble is not None:
                raise saving.trouble

    def _take_up(self, job: Job, left: Checkpoint, told: RunHeader) -> Task:
        """Brings back the vectors of the interrupted run, and the batch it was at."""
        assert self.session.library is not None
        for new, vector in zip(self.made.restore(job, left, told, self.origin), self.made.vectors, strict=True):
            self.emit(announcement(self.task, new, vector))
            sample = self.session.library.sample(vector.id, self.request.prompts[0].shown())
            if sample is not None:
                self.emit(Generated(self.task, str(new.draw), sample.completion, prompt=self.request.prompts[0].message))
            else:
                self.sampler.unsampled.append((new.draw, vector))
        self.turns.first.skip(job.done * self.step_count)
        self.sampler.sampled_before(job.done - len(self.sampler.unsampled))
        self._tell_left_out()
        yield

    def _control_norm(self, job: Job) -> float | None:
        """The norm of the random controls, None where it is not known before the first vectors are there."""
        if job.radius is not None or self.told is None:
            return job.radius
        kept = self.told.control_norm  # a run of an earlier version did not write it down
        return median_norm(self.made.vectors) if kept is None and self.made.vectors else kept

    def _shrunk(self, rows: int) -> None:
        self.emit(Warned(self.task, halved(rows)))

    def _radius(self, problem: Problem) -> Generator[None, None, float | None]:
        given = self.request.radius if self.told is None else self.told.radius
        if given is not None:
            self.emit(RadiusChosen(self.task, float(given), automatic=False))
            return float(given)
        if not self.method.needs_radius:
            return None
        self._tell("calibrating the radius")
        found = yield from calibrate(problem, self.request.ratio, self.request.seed)
        self.emit(RadiusChosen(self.task, found.radius, True, found.ratio, found.curve))
        if found.jump is not None:
            below, above = found.jump
            jumps = f"at radius {found.radius:.3g} the nonlinearity of random vectors jumps from {below:.2g} to {above:.2g}"
            self.emit(Warned(self.task, f"{jumps}, as in mixtures of experts: a radius of your own may be better"))
        return found.radius

    def _stepped(self, step: Step) -> None:
        self.turns.first.tick(len(step.objective))
        columns = [tuple(column.tolist()) for column in (step.objective, step.gradient_norm, step.norm)]
        if not step.steps_of_rows:
            self.emit(Stepped(self.task, (StepPoint(step.first, step.step, *columns),)))
            self._tell(f"training, step {step.step + 1} of {step.steps}")
            return
        rows = zip(step.steps_of_rows, *columns, strict=True)
        points = (StepPoint(step.first + i, at, *((value,) for value in row)) for i, (at, *row) in enumerate(rows))
        self.emit(Stepped(self.task, tuple(points)))
        self._tell(f"training, {len(step.objective)} at once")

    def _found(self, found: Found, job: Job) -> Task:
        """Saves the vectors that a method has found, tells of them, and has them sampled."""
        facts = dict(found.facts)
        if self.likeness is not None:
            facts["kl_to_base"] = self.likeness.kl(found.vectors.detach().cpu())
        draws = range(found.first, found.first + len(found.vectors))
        left_out = yield from self.selection.left_out(found.vectors, self.origin, draws)
        for draw, cause in self.made.add(found, facts, self.origin, left_out):
            self.emit(VectorFailed(self.task, draw, cause))
        if left_out:
            self._tell_left_out()
        self._save_state(job)
        yield from self._announced()
        self.turns.first.begin()

    def _tell_left_out(self) -> None:
        if counts := counted(self.made.failed):
            self.emit(VectorsLeftOut(self.task, len(self.made.vectors), counts))

    def _announced(self) -> Task:
        """Tells of the vectors that were saved last, and has them sampled."""
        told = self.made.told()
        for new, vector in told:
            self.emit(announcement(self.task, new, vector))
            self.sampler.unsampled.append((new.draw, vector))
        yield
        if told:
            yield from self.sampler.controls(median_norm([vector for _, vector in told]), self.source, self.origin)
        yield from self.sampler.join()

    def _tell(self, stage: str) -> None:
        count, seconds = self.request.count, self.turns.seconds()
        if seconds is None:
            self.emit(Progressed(self.task, stage, 0, count))
            return
        behind, ahead = seconds
        self.emit(Progressed(self.task, stage, count * behind / (behind + ahead), count, count / (behind + ahead), ahead))
