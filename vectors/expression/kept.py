"""Expressions in files: a list of terms, each a plain object that names its vector by id."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from vectors.expression.blocks import Blocks
from vectors.expression.tokens import Tokens
from vectors.expression.tree import MOST_TERMS, Expression, Gate, Term
from vectors.files.bounded import AtMost, Coefficient, Id, Label, Text, check, decoded

# `at` with as many positions as it may list is the longest.
_TokenText = Annotated[str, Text(4096, lambda text: str(Tokens.parse(text)))]
_BlockText = Annotated[str, Text(64, lambda text: str(Blocks.parse(text)))]


@dataclass(frozen=True)
class KeptGate:
    """A gate as files keep it."""

    id: Id
    name: Label
    threshold: Coefficient
    above: bool = True

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def of(cls, gate: Gate) -> KeptGate:
        return cls(gate.id, gate.name, gate.threshold, gate.above)

    def gate(self) -> Gate:
        return Gate(self.name, self.threshold, self.above, self.id)


@dataclass(frozen=True)
class KeptTerm:
    """A term as files keep it, and as other dataclasses of `bounded.decoded` may hold it; `asdict` gives its JSON.

    Terms of version 0.1 (id, name, coefficient, operation, positions) are read as they are.
    """

    id: Id
    name: Label
    coefficient: Coefficient = 1.0
    operation: Label = "add"
    positions: _TokenText = "all"
    blocks: _BlockText = "own"
    gate: KeptGate | None = None

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def of(cls, term: Term) -> KeptTerm:
        gate = None if term.gate is None else KeptGate.of(term.gate)
        return cls(term.id, term.name, term.coefficient, term.operation, str(term.tokens), str(term.blocks), gate)

    def term(self) -> Term:
        """The term. Raises ExpressionError where it cannot be one: without id and name, of an unknown operation."""
        gate = None if self.gate is None else self.gate.gate()
        tokens, blocks = Tokens.parse(self.positions), Blocks.parse(self.blocks)
        return Term(
            self.name, self.coefficient, self.operation, tokens, blocks, gate, self.id, frozenset(("operation", "tokens"))
        )


@dataclass(frozen=True)
class _Kept:
    terms: Annotated[tuple[KeptTerm, ...], AtMost(MOST_TERMS)]


def restored(terms: Iterable[KeptTerm]) -> Expression:
    """The expression of terms that were kept. Raises ExpressionError where one cannot be."""
    return Expression(tuple(one.term() for one in terms))


def to_json(expression: Expression) -> list[dict[str, Any]]:
    """The expression as JSON: a list of terms."""
    return [asdict(KeptTerm.of(term)) for term in expression]


def from_json(data: Sequence[Any]) -> Expression:
    """Reads `to_json`'s form. Raises VectorError, whose line names the field, for what is none."""
    return restored(decoded(_Kept, {"terms": data}).terms)
