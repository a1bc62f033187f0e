"""`Steering`: which vectors act at once, and how."""

from __future__ import annotations

from core.steering.terms import SteerTerm
from vectors.expression import Tokens
from vectors.vector import SteeringVector


class Steering:
    """Vectors at work. `Steering(a, 1.5) + Steering(b, operation="ablate")` has both act at once.

    `terms` are its parts, each with a vector, a coefficient, an operation and positions. `Steering()`, which has none, is the
    unsteered model.
    """

    __slots__ = ("terms",)

    def __init__(
        self,
        vector: SteeringVector | None = None,
        coefficient: float = 1.0,
        *,
        operation: str = "add",
        positions: str = "all",
    ) -> None:
        """A steering of one vector, or of none.

        Args:
            vector: acts on the output of its own block.
            coefficient: what it is multiplied by.
            operation: `add` adds coefficient x vector; `ablate` projects the vector's direction out, whatever the coefficient;
                `set` sets the component along it to coefficient x the vector's norm.
            positions: the tokens it acts on: `all`, `generated`, `from:N` (position N on, counted from 0) or `last:K` (of the
                prompt).

        Raises:
            MelboError: there is no such operation, there are no such positions, or the coefficient is beyond 1e9.
        """
        self.terms: tuple[SteerTerm, ...] = ()
        if vector is not None:
            self.terms = (SteerTerm(vector, float(coefficient), operation, Tokens.parse(positions)),)

    def __add__(self, other: Steering) -> Steering:
        both = Steering()
        both.terms = self.terms + other.terms
        return both

    def __repr__(self) -> str:
        shown = (
            f"{term.coefficient:g} {term.vector.name or term.vector.id or 'a vector'} ({term.operation}, {term.tokens})"
            for term in self.terms
        )
        return f"<Steering: {' + '.join(shown) or 'none'}>"


def terms_of(steering: Steering | SteeringVector | None) -> tuple[SteerTerm, ...]:
    """The terms of a steering, or of a vector with coefficient 1."""
    if isinstance(steering, SteeringVector):
        return (SteerTerm(steering),)
    return () if steering is None else steering.terms
