"""An expression as a tree: terms, each a vector with its coefficient, its operation, and where and when it acts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from vectors.expression.blocks import OWN_BLOCKS, Blocks
from vectors.expression.error import ExpressionError, Place, shown
from vectors.expression.tokens import ALL_TOKENS, Tokens
from vectors.expression.words import check_name, check_number, number_text, written_name

OPERATIONS = ("add", "keep-norm", "set", "ablate")
MOST_TERMS = 1000


@dataclass(frozen=True)
class Gate:
    """Lets its term act at the tokens whose residual stream h projects on a vector above, or below, a threshold.

    The projection is w.h / |w|^2 at the block of the vector w: its component along w, in units of w's norm.
    """

    name: str
    threshold: float = 0.0
    above: bool = True
    id: str = ""
    place: Place = field(default=Place(), compare=False, repr=False)

    def __post_init__(self) -> None:
        _check(self.name, self.id, self.place)
        object.__setattr__(self, "threshold", _number(self.threshold, "threshold", self.place))

    @property
    def column(self) -> int:
        return self.place.column

    def opens(self, projection: float) -> bool:
        """Whether a token of that projection is steered."""
        return projection > self.threshold if self.above else projection < self.threshold

    def __str__(self) -> str:
        return f"when:{written_name(self.name or self.id)}{'>' if self.above else '<'}{number_text(self.threshold)}"


@dataclass(frozen=True)
class Term:
    """What one vector v does to the residual stream h of a token, with u = v / |v| and the coefficient c:

    | add | h + c v |
    | keep-norm | (h + c v) |h| / |h + c v| |
    | set | h + (c |v| - u.h) u: the component along v becomes c times v's norm |
    | ablate | h - c u (u.h): the share c of the component along v is removed |

    It acts at the outputs of `blocks`, at `tokens`, and of these where the `gate` is open. `name` is what was written, a name
    or an id of the library; `id` is the vector's once it is known. `said` has the fields that the text gave, `place` says where
    the name stands in it; terms that differ in these two alone are equal.
    Raises ExpressionError for what is out of bounds.
    """

    name: str
    coefficient: float = 1.0
    operation: str = "add"
    tokens: Tokens = ALL_TOKENS
    blocks: Blocks = OWN_BLOCKS
    gate: Gate | None = None
    id: str = ""
    said: frozenset[str] = field(default=frozenset(), compare=False, repr=False)
    place: Place = field(default=Place(), compare=False, repr=False)

    def __post_init__(self) -> None:
        _check(self.name, self.id, self.place)
        object.__setattr__(self, "coefficient", _number(self.coefficient, "coefficient", self.place))
        if self.operation not in OPERATIONS:
            raise self.place.error(f"{shown(self.operation)!r} is no operation; use one of {', '.join(OPERATIONS)}")

    @property
    def column(self) -> int:
        """Where the name stands in the text, counted in characters from 1; 0 where there is no text."""
        return self.place.column

    def scaled(self, factor: float) -> Term:
        """The term with `factor` times its coefficient.

        Of `add` and `ablate` that is `factor` times the change to h: 0 changes nothing, -1 makes the opposite change. Of `set`
        it is `factor` times the value that is set: 0 removes the component, and nothing leaves h as it was. Of `keep-norm`
        it is `factor` times what is added before the norm is restored.
        """
        return replace(self, coefficient=self.coefficient * factor)

    def with_defaults(self, operation: str = "add", tokens: Tokens = ALL_TOKENS) -> Term:
        """The term with this operation and these tokens where it says nothing of its own."""
        said = self.said | {"operation", "tokens"}
        if "operation" in self.said or self.operation != "add":
            operation = self.operation
        if "tokens" in self.said or self.tokens != ALL_TOKENS:
            tokens = self.tokens
        return replace(self, operation=operation, tokens=tokens, said=said)

    def parts(self) -> Iterator[str]:
        """What stands behind `@`, in the normal form's order, defaults left out."""
        if self.tokens != ALL_TOKENS:
            yield str(self.tokens)
        if self.blocks != OWN_BLOCKS:
            yield f"blocks:{self.blocks}"
        if self.operation in ("keep-norm", "set"):
            yield self.operation
        if self.gate is not None:
            yield str(self.gate)

    def unsigned(self, quote: Callable[[str], str] = written_name) -> str:
        """The term without its coefficient's sign."""
        size = abs(self.coefficient)
        number = "" if size == 1 else f"{number_text(size)} "
        ablates = "!" if self.operation == "ablate" else ""
        return "@".join((f"{number}{ablates}{quote(self.name or self.id)}", *self.parts()))

    def __str__(self) -> str:
        return ("-" if self.coefficient < 0 else "") + self.unsigned()


Named: TypeAlias = Term | Gate


@dataclass(frozen=True)
class Expression:
    """What steers: terms that act together. `str` writes it in the normal form; without terms, the unsteered model, as ''.

    Raises ExpressionError for more than MOST_TERMS terms.
    """

    terms: tuple[Term, ...] = ()

    def __post_init__(self) -> None:
        if len(self.terms) > MOST_TERMS:
            raise ExpressionError(f"an expression has at most {MOST_TERMS:,} terms, not {len(self.terms):,}")

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def __len__(self) -> int:
        return len(self.terms)

    def __add__(self, other: Expression) -> Expression:
        """Both at once: terms are listed one after the other, none merged."""
        return Expression(self.terms + other.terms)

    def __sub__(self, other: Expression) -> Expression:
        return self + -other

    def __neg__(self) -> Expression:
        """Every coefficient negated (`scaled(-1)`)."""
        return self.scaled(-1)

    def scaled(self, factor: float) -> Expression:
        """Every coefficient times `factor`; `Term.scaled` says what that is for each operation."""
        return Expression(tuple(term.scaled(factor) for term in self.terms))

    def with_defaults(self, operation: str = "add", tokens: Tokens = ALL_TOKENS) -> Expression:
        """The expression with this operation and these tokens for the terms that say nothing of their own."""
        return Expression(tuple(term.with_defaults(operation, tokens) for term in self.terms))

    def named(self) -> Iterator[Named]:
        """Everything that names a vector, as it stands in the text: each term, and its gate after it."""
        for term in self.terms:
            yield term
            if term.gate is not None:
                yield term.gate

    def resolved(self, find: Callable[[Named], tuple[str, str]]) -> Expression:
        """The expression with the (id, name) that `find` gives for every term and gate. What `find` raises goes through."""
        terms = []
        for term in self.terms:
            gate = term.gate
            id, name = find(term)
            if gate is not None:
                gate_id, gate_name = find(gate)
                gate = replace(gate, id=gate_id, name=gate_name)
            terms.append(replace(term, id=id, name=name, gate=gate))
        return Expression(tuple(terms))

    def text(self, quote: Callable[[str], str] = written_name) -> str:
        """The normal form, terms' names as `quote` writes them."""
        if not self.terms:
            return ""
        first, *rest = self.terms
        signed = (("- " if term.coefficient < 0 else "+ ") + term.unsigned(quote) for term in rest)
        return " ".join((("-" if first.coefficient < 0 else "") + first.unsigned(quote), *signed))

    def __str__(self) -> str:
        return self.text()


def _check(name: str, id: str, place: Place) -> None:
    try:
        if name or not id:
            check_name(name)
        if id:
            check_name(id)
    except ValueError as error:
        raise place.error(str(error)) from None


def _number(value: float, what: str, place: Place) -> float:
    """`value` as a float of Python's; no negative zero, which is written like zero."""
    try:
        number = float(value) + 0.0
    except OverflowError:  # a whole number beyond any float
        number = math.inf
    try:
        check_number(number)
    except ValueError as error:
        raise place.error(f"the {what} {number:g} is out of bounds: {error}") from None
    return number
