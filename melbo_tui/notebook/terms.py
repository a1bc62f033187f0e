"""`Steering`: which vectors act at once, and how."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from core.errors import SettingsError
from core.steering.terms import SteerTerm, expression_of
from vectors.expression import Blocks, Tokens
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    from vectors.store.library import Library


class Steering:
    """Vectors at work. `Steering(a, 1.5) + Steering(b, operation="ablate")` has both act at once.

    `terms` are its parts, each with a vector, a coefficient, an operation, tokens, blocks and a gate. `Steering()`, which has
    none, is the unsteered model. `str` writes it as an expression (docs/steering.md), which `parse` reads; `-s`, `s * 0.5` and
    `s / 2` multiply every coefficient, `s - t` is `s + -t`.
    """

    __slots__ = ("terms",)

    def __init__(
        self,
        vector: SteeringVector | None = None,
        coefficient: float = 1.0,
        *,
        operation: str = "add",
        positions: str = "all",
        blocks: str = "own",
    ) -> None:
        """A steering of one vector, or of none.

        Args:
            vector: acts on the output of its own block, or blocks.
            coefficient: what it is multiplied by; of `ablate` the share that is removed.
            operation: `add` adds coefficient x vector; `keep-norm` does, and gives the stream its norm back; `ablate` removes
                the component along the vector; `set` sets it to coefficient x the vector's norm.
            positions: the tokens it acts on: `all`, `prompt`, `generated`, `first:N` (positions below N, counted from 0),
                `after:N` (from N on), `last:K` (of the prompt) or `at:I,J`.
            blocks: the blocks at whose outputs it acts: `own`, `all` or `I-J`.

        Raises:
            MelboError: `vector` is none, there is no such operation, or the coefficient is beyond 1e9.
            VectorError: there are no such positions or blocks.
        """
        self.terms: tuple[SteerTerm, ...] = ()
        if vector is not None:
            if not isinstance(vector, SteeringVector):
                raise _no_steering(vector)
            tokens, where = Tokens.parse(positions), Blocks.parse(blocks)
            self.terms = (SteerTerm(vector, float(coefficient), operation, tokens, where),)

    @classmethod
    def parse(cls, text: str, library: Library, model: str | None = None) -> Steering:
        """The steering that an expression writes: `Steering.parse("1.5 bomb-03 - 0.5 calm@generated", library)`.

        Args:
            text: the expression; docs/steering.md has the grammar.
            library: has the vectors that it names.
            model: decides between vectors of one name: a model's `label`.

        Raises:
            VectorError: the text is no expression, or a name is unknown or ambiguous; `column` says where.
            LibraryError: a vector cannot be read.
        """
        from core.steering.resolving import loaded
        from vectors.store.naming import read

        return cls._of(loaded(read(text, library, model), library))

    @classmethod
    def _of(cls, terms: Iterable[SteerTerm]) -> Steering:
        made = cls()
        made.terms = tuple(terms)
        return made

    def __add__(self, other: Steering) -> Steering:
        return self._of(self.terms + other.terms) if isinstance(other, Steering) else NotImplemented

    def __sub__(self, other: Steering) -> Steering:
        return self + -other if isinstance(other, Steering) else NotImplemented

    def __neg__(self) -> Steering:
        return self * -1.0

    def __mul__(self, factor: float) -> Steering:
        """Every coefficient times `factor`: of `set` that is the value that is set, so that 0 removes the component."""
        return self._of(term.scaled(float(factor)) for term in self.terms)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Steering:
        if not divisor:
            raise SettingsError("a steering cannot be divided by zero")
        return self * (1.0 / float(divisor))

    def __str__(self) -> str:
        return str(expression_of(self.terms))

    def __repr__(self) -> str:
        return f"<Steering: {self if self.terms else 'none'}>"


def terms_of(steering: Steering | SteeringVector | None) -> tuple[SteerTerm, ...]:
    """The terms of a steering, or of a vector with coefficient 1. Raises SettingsError for what is neither."""
    if isinstance(steering, SteeringVector):
        return (SteerTerm(steering),)
    if steering is None:
        return ()
    if isinstance(steering, Steering):
        return steering.terms
    raise _no_steering(steering)


def _no_steering(given: object) -> SettingsError:
    """What to write for what notebooks give instead of a steering, or a vector."""
    kind = type(given).__name__
    if isinstance(given, str):
        return SettingsError("a text does not say which library has its vectors", "Steering.parse(TEXT, library) reads it")
    if isinstance(given, (list, tuple)):
        both = "write a + b, or Steering(a) + Steering(b)"
        return SettingsError(
            f"a {kind} of vectors is no steering", f"for several at once {both}; else give one after the other"
        )
    return SettingsError(f"{kind} is no steering", "give a SteeringVector, a Steering or None")
