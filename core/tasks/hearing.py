"""Letting the vectors of a run speak, beside the unsteered model and random vectors of the same norm."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

from core.evaluation.controls import controls
from core.events import CONTROL, UNSTEERED, Said
from core.generation import Row, Sampling
from core.language_model import LanguageModel
from core.pace import Pace
from core.requests import Train
from core.session import Emit, Task
from core.steering import SteerTerm
from core.tasks.reply import speak
from vectors.library import Library, Sample
from vectors.vector import Origin, SteeringVector

_SPEAKERS = 16
# Vectors that are found one by one wait for each other before they speak: together it takes little longer than alone.
_WORTH_SPEAKING = 8
_SPEAK_SECONDS = 20.0
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
    pace: Pace = field(init=False)
    silent: list[tuple[int, SteeringVector]] = field(default_factory=list)  # with their draws
    controlled: bool = False

    def __post_init__(self) -> None:
        self.speaks = self.model.has_tokenizer and self.request.sample_tokens > 0
        # The controls are a round more.
        self.pace = Pace(self._tokens(self.request.count + _WORTH_SPEAKING) if self.speaks else 0.0)
        self._heard_at = time.monotonic()

    def heard_before(self, count: int) -> None:
        """So many vectors spoke before the run was taken up again."""
        self.pace.skip(self._tokens(count) if self.speaks else 0.0)

    def controls(self, radius: float, source: int, origin: Origin) -> Task:
        """What the model says unsteered, and under random vectors of the same norm: the control beside every finding."""
        if self.controlled or not self.speaks:
            return
        self.controlled = True
        random = controls(self.request.controls, radius, source, self.request.seed, origin)
        rows = [self._row(UNSTEERED, None), *(self._row(f"{CONTROL}:{i}", vector) for i, vector in enumerate(random))]
        yield from self._hear(rows, _WORTH_SPEAKING, "listening to the unsteered model")

    def join(self, found: list[tuple[int, SteeringVector]]) -> Task:
        """Lets what was found, with its draws, speak when there are enough, or it is long ago that any did."""
        self.silent += found
        if len(self.silent) >= _WORTH_SPEAKING or time.monotonic() - self._heard_at > _SPEAK_SECONDS:
            yield from self.rest()

    def rest(self) -> Task:
        """Lets the vectors speak that have not yet, a screenful at a time; the library keeps what they say."""
        while self.speaks and self.silent:
            some = self.silent[:_SPEAKERS]
            rows = [self._row(str(draw), vector) for draw, vector in some]
            said = yield from self._hear(rows, len(some), "listening to the new vectors")
            if self.library is not None:
                for draw, vector in some:
                    heard = said[str(draw)]
                    sample = Sample(self.request.prompts[0].shown(), 1.0, heard.text, heard.mean_kl, heard.thought)
                    self.library.add_sample(vector.id, sample)
            self.silent = self.silent[_SPEAKERS:]
        self._heard_at = time.monotonic()

    def _hear(self, rows: list[Row], vectors: int, stage: str) -> Generator[None, None, dict[str, Said]]:
        """Lets `rows` speak, which counts as so many vectors."""
        left, token = self._tokens(vectors), vectors / _WORTH_SPEAKING
        self.tell(stage)
        self.pace.begin()
        speaking = speak(self.model, rows, self.task, self.emit)
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
