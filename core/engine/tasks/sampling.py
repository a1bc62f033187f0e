"""Sampling the vectors of a run: a completion under each, beside the unsteered model and random vectors of the same norm."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, field

from core.engine.events import CONTROL, UNSTEERED
from core.engine.requests import Train
from core.engine.session import Emit, Task
from core.engine.tasks.reply import generated
from core.engine.tasks.saving import Saving
from core.engine.throughput import Pace
from core.evaluation.controls import random_vectors
from core.model.language_model import LanguageModel
from core.steering.generation import Row, Sampling
from core.steering.terms import SteerTerm
from vectors.completion import Completion
from vectors.store.curation import Sample
from vectors.store.index import UnknownVector
from vectors.store.library import Library
from vectors.vector import Origin, SteeringVector

_AT_ONCE = 16
# Vectors that come one by one wait for each other before they are sampled: together it takes little longer than alone.
_WORTH_SAMPLING = 8
_LONGEST_WAIT = 20.0  # seconds
# How long a run that the user stops goes on, at most, to sample the vectors that it has announced already.
_PARTING_SECONDS = 10.0
# What a token of so many vectors costs, in training steps of one, until it is measured (0.8 to 1.7 on the default model).
STEPS_A_TOKEN = 1.2


@dataclass
class Sampler:
    """Samples a run's vectors. `pace` counts tokens of `_WORTH_SAMPLING` vectors together; `tell` shows what goes on."""

    model: LanguageModel
    ids: tuple[int, ...]
    request: Train
    task: int
    emit: Emit
    library: Library | None
    tell: Callable[[str], None]
    saving: Saving
    pace: Pace = field(init=False)
    unsampled: list[tuple[int, SteeringVector]] = field(default_factory=list)  # with their draws
    unsaved: list[tuple[str, Sample]] = field(default_factory=list)  # with their vectors' ids
    control_norm: float | None = None  # of the random vectors that were sampled beside

    def __post_init__(self) -> None:
        self.samples = self.model.has_tokenizer and self.request.sample_tokens > 0
        # The controls are a round more.
        self.pace = Pace(self._tokens(self.request.count + _WORTH_SAMPLING) if self.samples else 0.0)
        self._sampled_at = time.monotonic()
        self._batch: Generator[None, None, dict[str, Completion]] | None = None  # of the first of `unsampled`, under way

    def sampled_before(self, count: int) -> None:
        """So many vectors were sampled before the run was resumed."""
        self.pace.skip(self._tokens(count) if self.samples else 0.0)

    def controls(self, radius: float, source: int, origin: Origin) -> Task:
        """Completions unsteered, and under random vectors of the same norm: the control beside every vector."""
        if self.control_norm is not None or not self.samples:
            return
        self.control_norm = radius
        random = random_vectors(self.request.controls, radius, source, self.request.seed, origin)
        rows = [self._row(UNSTEERED, None), *(self._row(f"{CONTROL}:{i}", vector) for i, vector in enumerate(random))]
        yield from self._told(self._generated(rows), _WORTH_SAMPLING, "sampling the unsteered model")

    def join(self) -> Task:
        """Samples the vectors that have no sample yet when there are enough, or it is long ago that any was."""
        if len(self.unsampled) >= _WORTH_SAMPLING or time.monotonic() - self._sampled_at > _LONGEST_WAIT:
            yield from self.rest()

    def rest(self) -> Task:
        """Samples the vectors that have no sample, a screenful at a time; the library keeps the completions."""
        while self.samples and self.unsampled:
            if self._batch is None:  # else it was stopped in the middle, and goes on from there
                self._some = self.unsampled[:_AT_ONCE]
                rows = [self._row(str(draw), vector) for draw, vector in self._some]
                self._batch = self._generated(rows)
            completions = yield from self._told(self._batch, len(self._some), "sampling the new vectors")
            self._batch = None
            prompt = self.request.prompts[0].shown()
            self.unsaved += [(vector.id, Sample(prompt, 1.0, completions[str(draw)].kept())) for draw, vector in self._some]
            self.saving.attempt(self.save)
            self.unsampled = self.unsampled[len(self._some) :]
        self._sampled_at = time.monotonic()

    def save(self) -> None:
        """Puts the samples into the library that it does not have. Raises LibraryError."""
        while self.unsaved:
            if self.library is not None:
                with suppress(UnknownVector):  # it was removed for good meanwhile
                    self.library.add_sample(*self.unsaved[0])
            del self.unsaved[0]

    def parting(self) -> Task:
        """Samples the rest for a bounded time, after the user has stopped the run; what is not done then stays without."""
        end = time.monotonic() + _PARTING_SECONDS
        for _ in self.rest():
            if time.monotonic() > end:
                return
            yield

    def _told(
        self, generating: Generator[None, None, dict[str, Completion]], vectors: int, stage: str
    ) -> Generator[None, None, dict[str, Completion]]:
        """Generates what `generating` does, which counts as so many vectors."""
        left, token = self._tokens(vectors), vectors / _WORTH_SAMPLING
        self.tell(stage)
        self.pace.begin()
        while True:
            try:
                next(generating)
            except StopIteration as stop:
                self.pace.tick(left)  # of those that ended early
                completions: dict[str, Completion] = stop.value
                return completions
            counted = min(token, left)
            self.pace.tick(counted)
            left -= counted
            self.tell(stage)
            yield

    def _tokens(self, vectors: int) -> float:
        return vectors / _WORTH_SAMPLING * self.request.sample_tokens

    def _generated(self, rows: list[Row]) -> Generator[None, None, dict[str, Completion]]:
        asked = self.request.prompts[0].message
        return generated(self.model, rows, self.task, self.emit, {row.key: asked for row in rows})

    def _row(self, key: str, vector: SteeringVector | None) -> Row:
        steering = () if vector is None else (SteerTerm(vector),)
        sampling = Sampling(max_new_tokens=self.request.sample_tokens, thought_tokens=self.request.thought_tokens)
        return Row(key, self.ids, steering, sampling, referenced=True)
