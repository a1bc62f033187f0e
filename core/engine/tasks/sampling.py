"""Letting the vectors of a run speak, beside the unsteered model and random vectors of the same norm."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from core.engine.events import CONTROL, UNSTEERED, Said
from core.engine.requests import Train
from core.engine.session import Emit, Task
from core.engine.tasks.reply import speak
from core.engine.tasks.saving import Saving
from core.engine.throughput import Pace
from core.evaluation.controls import controls
from core.model.language_model import LanguageModel
from core.steering.generation import Row, Sampling
from core.steering.terms import SteerTerm
from vectors.store.curation import Sample
from vectors.store.library import Library
from vectors.vector import Origin, SteeringVector

_SPEAKERS = 16
# Vectors that are found one by one wait for each other before they speak: together it takes little longer than alone.
_WORTH_SPEAKING = 8
_SPEAK_SECONDS = 20.0
# How long a run that the user stops goes on, at most, to sample the vectors that it has announced already.
_PARTING_SECONDS = 10.0
# What a token of so many vectors costs, in training steps of one, until it is measured (0.8 to 1.7 on the default model).
STEPS_A_TOKEN = 1.2


@dataclass
class Hearing:
    """Who has not been heard yet. `pace` counts tokens of `_WORTH_SPEAKING` vectors together; `tell` shows what goes on."""

    model: LanguageModel
    ids: tuple[int, ...]
    request: Train
    task: int
    emit: Emit
    library: Library | None
    tell: Callable[[str], None]
    saving: Saving
    pace: Pace = field(init=False)
    silent: list[tuple[int, SteeringVector]] = field(default_factory=list)  # with their draws
    unsaved: list[tuple[str, Sample]] = field(default_factory=list)  # with their vectors' ids
    control_norm: float | None = None  # of the random vectors that were sampled beside

    def __post_init__(self) -> None:
        self.speaks = self.model.has_tokenizer and self.request.sample_tokens > 0
        # The controls are a round more.
        self.pace = Pace(self._tokens(self.request.count + _WORTH_SPEAKING) if self.speaks else 0.0)
        self._heard_at = time.monotonic()
        self._batch: Generator[None, None, dict[str, Said]] | None = None  # of the first of `silent`, under way

    def heard_before(self, count: int) -> None:
        """So many vectors spoke before the run was taken up again."""
        self.pace.skip(self._tokens(count) if self.speaks else 0.0)

    def controls(self, radius: float, source: int, origin: Origin) -> Task:
        """What the model says unsteered, and under random vectors of the same norm: the control beside every finding."""
        if self.control_norm is not None or not self.speaks:
            return
        self.control_norm = radius
        random = controls(self.request.controls, radius, source, self.request.seed, origin)
        rows = [self._row(UNSTEERED, None), *(self._row(f"{CONTROL}:{i}", vector) for i, vector in enumerate(random))]
        yield from self._hear(speak(self.model, rows, self.task, self.emit), _WORTH_SPEAKING, "sampling the unsteered model")

    def join(self) -> Task:
        """Samples the vectors that have no sample yet when there are enough, or it is long ago that any was."""
        if len(self.silent) >= _WORTH_SPEAKING or time.monotonic() - self._heard_at > _SPEAK_SECONDS:
            yield from self.rest()

    def rest(self) -> Task:
        """Lets the vectors speak that have not yet, a screenful at a time; the library keeps what they say."""
        while self.speaks and self.silent:
            if self._batch is None:  # else it was stopped in the middle, and goes on from there
                self._some = self.silent[:_SPEAKERS]
                rows = [self._row(str(draw), vector) for draw, vector in self._some]
                self._batch = speak(self.model, rows, self.task, self.emit)
            completions = yield from self._hear(self._batch, len(self._some), "sampling the new vectors")
            self._batch = None
            prompt = self.request.prompts[0].shown()
            self.unsaved += [(vector.id, completions[str(draw)].sample(prompt)) for draw, vector in self._some]
            self.saving.attempt(self.save)
            self.silent = self.silent[len(self._some) :]
        self._heard_at = time.monotonic()

    def save(self) -> None:
        """Puts the samples into the library that it does not have. Raises LibraryError."""
        while self.unsaved:
            if self.library is not None:
                self.library.add_sample(*self.unsaved[0])
            del self.unsaved[0]

    def parting(self) -> Task:
        """Samples the rest for a bounded time, after the user has stopped the run; what is not done then stays without."""
        end = time.monotonic() + _PARTING_SECONDS
        for _ in self.rest():
            if time.monotonic() > end:
                return
            yield

    def _hear(
        self, speaking: Generator[None, None, dict[str, Said]], vectors: int, stage: str
    ) -> Generator[None, None, dict[str, Said]]:
        """Generates what `speaking` does, which counts as so many vectors."""
        left, token = self._tokens(vectors), vectors / _WORTH_SPEAKING
        self.tell(stage)
        self.pace.begin()
        while True:
            try:
                next(speaking)
            except StopIteration as stop:
                self.pace.tick(left)  # of those that ended early
                said: dict[str, Said] = stop.value
                return said
            counted = min(token, left)
            self.pace.tick(counted)
            left -= counted
            self.tell(stage)
            yield

    def _tokens(self, vectors: int) -> float:
        return vectors / _WORTH_SPEAKING * self.request.sample_tokens

    def _row(self, key: str, vector: SteeringVector | None) -> Row:
        steering = () if vector is None else (SteerTerm(vector),)
        sampling = Sampling(max_new_tokens=self.request.sample_tokens, thought_tokens=self.request.thought_tokens)
        return Row(key, self.ids, steering, sampling, watched=True)
