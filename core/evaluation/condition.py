"""What an experiment compares: conditions, the cases that are generated under them, and the answers that come of it."""

from __future__ import annotations

from dataclasses import dataclass

from core.steering.terms import Steering, SteerTerm
from vectors.completion import Completion, Judgement

RANDOM, UNSTEERED = "random", "unsteered"


@dataclass(frozen=True)
class Condition:
    """A condition of an experiment: the model steered by a vector, by a random control of its norm, or unsteered (no term)."""

    name: str
    term: SteerTerm | None = None
    random: bool = False

    def steering(self, coefficient: float = 1.0) -> Steering:
        """What acts on the model, its own coefficient multiplied by `coefficient`."""
        return () if self.term is None else (SteerTerm(self.term.vector, coefficient * self.term.coefficient),)

    @property
    def norm(self) -> float | None:
        """That of what is added to the residual stream; None where nothing is."""
        return None if self.term is None else abs(self.term.coefficient) * self.term.vector.norm

    @property
    def block(self) -> int | None:
        """The block whose output is steered."""
        return None if self.term is None else self.term.vector.block


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
