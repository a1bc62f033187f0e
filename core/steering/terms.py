"""What to do to the residual stream: vectors with coefficients on chosen positions. Data; core/steering/hooks.py acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.errors import SettingsError
from vectors.files.bounded import MOST_COEFFICIENT
from vectors.plain_text import natural, one_line
from vectors.vector import ModelStamp, SteeringVector

if TYPE_CHECKING:
    from vectors.store.conversations import Term

OPERATIONS = ("add", "ablate", "set")


@dataclass(frozen=True)
class Positions:
    """Which tokens are steered: `all`; `generated` ones only; `from` absolute position n on; the `last` n of the prompt."""

    kind: str = "all"
    n: int = 0

    def span(self, prompt_length: int) -> tuple[int, int | None]:
        """First steered position and the one after the last (None: no end), for a prompt of `prompt_length` tokens."""
        if self.kind == "generated":
            return prompt_length, None
        if self.kind == "from":
            return self.n, None
        if self.kind == "last":
            return max(prompt_length - self.n, 0), prompt_length
        return 0, None

    @classmethod
    def parse(cls, text: str) -> Positions:
        """`all`, `generated`, `from:N` or `last:K`. Raises SettingsError."""
        kind, _, number = text.partition(":")
        n = natural(number)
        if text in ("all", "generated"):
            return cls(text)
        if n is not None and (kind == "from" or (kind == "last" and n > 0)):
            return cls(kind, n)
        raise SettingsError(f"{text!r} names no positions", "use all, generated, from:N or last:K")

    def __str__(self) -> str:
        return f"{self.kind}:{self.n}" if self.kind in ("from", "last") else self.kind


@dataclass(frozen=True)
class SteerTerm:
    """One vector at work: `add` coefficient x vector; `ablate` its direction; `set` that component to coefficient x norm."""

    vector: SteeringVector
    coefficient: float = 1.0
    operation: str = "add"
    positions: Positions = field(default_factory=Positions)

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise SettingsError(f"{one_line(self.operation, 40)!r} is no operation", f"use one of: {', '.join(OPERATIONS)}")
        if not abs(self.coefficient) <= MOST_COEFFICIENT:
            raise SettingsError(f"the coefficient {self.coefficient:g} is too large: nothing is left of the model")


Steering = tuple[SteerTerm, ...]


def terms_of(steering: Steering) -> tuple[Term, ...]:
    """A steering as it is kept with the answers that were given under it."""
    from vectors.store.conversations import Term

    return tuple(Term(t.vector.id, t.vector.name, t.coefficient, t.operation, str(t.positions)) for t in steering)


def check_fits(steering: Sequence[SteerTerm], model: ModelStamp) -> list[str]:
    """Warnings about vectors of another model of the same width; raises SettingsError where a vector cannot be added."""
    warnings = []
    for term in steering:
        vector, own = term.vector, term.vector.origin.model
        called = vector.name or vector.id or "the vector"
        if wrong := vector.misfit(model):
            raise SettingsError(wrong, f"load its own model: {own.label()}")
        if own.fingerprint and own.fingerprint != model.fingerprint:
            warnings.append(f"{called} was trained on {own.label()}, not on {model.label()}: it may do nothing, or break text")
    return warnings
