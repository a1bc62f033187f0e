"""What to do to the residual stream: an expression's terms with their vectors. Data; core/steering/hooks.py acts on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from core.errors import SettingsError
from vectors.expression import OPERATIONS, Blocks, Expression, Gate, KeptTerm, Term, Tokens
from vectors.expression.blocks import OWN_BLOCKS
from vectors.expression.tokens import ALL_TOKENS
from vectors.files.bounded import LABEL, MOST_COEFFICIENT
from vectors.plain_text import one_line
from vectors.vector import Direction, ModelStamp, SteeringVector, called


@dataclass(frozen=True)
class SteerGate:
    """Opens for tokens whose projection w.h / |w|^2 on the vector w, at w's block, is above (or below) the threshold."""

    vector: SteeringVector
    threshold: float = 0.0
    above: bool = True

    @property
    def block(self) -> int:
        """The block at whose output it is read."""
        return self.vector.block


@dataclass(frozen=True)
class SteerTerm:
    """One vector v at work, with coefficient c, on a token's residual stream h; u is v / |v|.

    `add`: h + c v; `keep-norm`: that, at h's norm; `set`: u's component of h becomes c |v|; `ablate`: the share c of it is
    removed. It acts at the outputs of `blocks`, at `tokens`, and of these where `gate` is open. Raises SettingsError.
    """

    vector: SteeringVector
    coefficient: float = 1.0
    operation: str = "add"
    tokens: Tokens = ALL_TOKENS
    blocks: Blocks = OWN_BLOCKS
    gate: SteerGate | None = None

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise SettingsError(f"{one_line(self.operation, 40)!r} is no operation", f"use one of: {', '.join(OPERATIONS)}")
        if not abs(self.coefficient) <= MOST_COEFFICIENT:
            raise SettingsError(f"the coefficient {self.coefficient:g} is too large: nothing is left of the model")

    def scaled(self, factor: float) -> SteerTerm:
        """The term with `factor` times its coefficient, as `Term.scaled` of an expression."""
        return replace(self, coefficient=self.coefficient * factor)

    def acts_at(self, n_blocks: int) -> tuple[int, ...]:
        """The blocks, of a model of `n_blocks`, at whose outputs it acts, rising. Of a vector over many blocks `blocks` takes a
        part; a vector of a single block acts with its direction at each.
        """
        own = self.vector.blocks
        chosen = (block for block in range(n_blocks) if self.blocks.includes(block, own))
        return tuple(block for block in chosen if len(own) == 1 or block in own)

    def direction_at(self, block: int) -> Direction:
        """What acts at the output of `block`, [d_model]."""
        return self.vector.at(block) if block in self.vector.blocks else self.vector.direction


Steering = tuple[SteerTerm, ...]


def resolved(expression: Expression, load: Callable[[Term | Gate], SteeringVector]) -> Steering:
    """The terms of `expression`, with the vectors that `load` gives for them and their gates; what it raises goes through."""
    terms = []
    for term in expression:
        vector = load(term)
        gate = None if term.gate is None else SteerGate(load(term.gate), term.gate.threshold, term.gate.above)
        terms.append(SteerTerm(vector, term.coefficient, term.operation, term.tokens, term.blocks, gate))
    return tuple(terms)


def kept_terms(steering: Steering) -> tuple[KeptTerm, ...]:
    """A steering as it is kept in files, by the vectors' ids."""
    return tuple(map(KeptTerm.of, expression_of(steering)))


def expression_of(steering: Steering) -> Expression:
    """A steering as people write it: `str` of it is the normal form. A vector without a name is called by its id."""
    return Expression(
        tuple(
            Term(_named(t.vector), t.coefficient, t.operation, t.tokens, t.blocks, _gate(t.gate), t.vector.id) for t in steering
        )
    )


def _named(vector: SteeringVector) -> str:
    return one_line(called(vector), LABEL)


def _gate(gate: SteerGate | None) -> Gate | None:
    return None if gate is None else Gate(_named(gate.vector), gate.threshold, gate.above, gate.vector.id)


def check_fits(steering: Sequence[SteerTerm], model: ModelStamp) -> list[str]:
    """Warnings about vectors of another model of the same width; raises SettingsError where a term cannot act on `model`."""
    warnings = []
    for term in steering:
        gates = () if term.gate is None else (term.gate.vector,)
        for vector in (term.vector, *gates):
            own = vector.origin.model
            if wrong := vector.misfit(model):
                raise SettingsError(wrong, f"load its own model: {own.label()}")
            if own.fingerprint and own.fingerprint != model.fingerprint:
                trained = f"{called(vector)} was trained on {own.label()}, not on {model.label()}"
                warnings.append(f"{trained}: it may do nothing, or break text")
        check_blocks(term, model)
    return warnings


def check_blocks(term: SteerTerm, model: ModelStamp) -> None:
    """Raises SettingsError where `term` acts at no block of `model`, or at one it has not, or its gate is read too late."""
    if not model.n_blocks:
        return
    blocks, last = term.acts_at(model.n_blocks), model.n_blocks - 1
    if not blocks or (term.blocks.kind == "range" and term.blocks.last > last):
        where = f"blocks {term.blocks}" if term.blocks.kind != "own" else "its own"
        raise SettingsError(
            f"{called(term.vector)} does not act at {where}; {model.name} has blocks 0 to {last}",
            "name blocks that the model has, and of a vector over many blocks its own",
        )
    if term.gate is None:
        return
    gate = term.gate.vector
    if len(gate.blocks) > 1:
        raise SettingsError(
            f"the gate {called(gate)} has a direction for each of {len(gate.blocks)} blocks; a gate is read at one",
            "take a vector of one block as the gate",
        )
    if term.gate.block > blocks[0]:
        raise SettingsError(
            f"the gate {called(gate)} is read at block {term.gate.block}, behind block {blocks[0]}, where "
            f"{called(term.vector)} acts",
            "take a gate of the same block or an earlier one, or let the term act at later blocks: @blocks:"
            f"{term.gate.block}-{last}",
        )
