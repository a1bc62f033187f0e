"""What an experiment compares: conditions, the cases that are generated under them, and the answers that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from core.evaluation.parts import Part, parts_of
from core.steering.terms import Steering
from vectors.completion import Completion, Judgement

RANDOM, UNSTEERED = "random", "unsteered"


@dataclass(frozen=True)
class Condition:
    """A condition of an experiment: the model under a steering, under a random control of one, or unsteered (no terms)."""

    name: str
    terms: Steering = ()
    random: bool = False

    def steering(self, coefficient: float = 1.0) -> Steering:
        """What acts on the model, all of it multiplied by `coefficient`."""
        return tuple(term.scaled(coefficient) for term in self.terms)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What acts, vectors that are added together summed."""
        return parts_of(self.terms)

    @property
    def norm(self) -> float | None:
        """That of what is added to the residual stream; None where nothing is, or several vectors are at several places."""
        parts = self.parts
        return parts[0].norm if len(parts) == 1 and parts[0].added else None

    @property
    def block(self) -> int | None:
        """The first block whose output a vector of it is made for; None where nothing acts."""
        return min((term.vector.block for term in self.terms), default=None)


@dataclass(frozen=True)
class Case:
    """One completion to generate: under which condition, to which prompt of the context's, at which coefficient."""

    condition: Condition
    prompt: int
    coefficient: float = 1.0


@dataclass(frozen=True)
class Answer:
    """A finished completion of `case`, and its judgement. KL and perplexity are None for the unsteered model itself."""

    case: Case
    completion: Completion
    judgement: Judgement

    @property
    def text(self) -> str:
        return self.completion.text
