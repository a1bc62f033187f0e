"""What a steering comes to: vectors that are added at the same places are one sum; whatever else acts stands for itself."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from core.steering.terms import Steering, SteerTerm
from vectors.vector import Direction, SteeringVector


@dataclass(frozen=True)
class Part:
    """Terms that differ in vector and coefficient alone: several, of `add`, are their sum; of any other operation it is one."""

    terms: tuple[SteerTerm, ...]

    @property
    def added(self) -> bool:
        """Whether a vector of a norm that is known is added."""
        return self.terms[0].operation == "add"

    @property
    def own(self) -> tuple[int, ...]:
        """The blocks that its vectors are made for."""
        return self.terms[0].vector.blocks

    @cached_property
    def directions(self) -> dict[int, Direction]:
        """At each of `own`, what is added [d_model]; of other operations the vector, whose sign is the coefficient's."""
        if self.added:
            return {block: sum_at(self.terms, block) for block in self.own}
        (term,) = self.terms
        sign = np.float32(-1 if term.coefficient < 0 else 1)
        return {block: sign * term.vector.at(block) for block in self.own}

    @cached_property
    def norms(self) -> tuple[float, ...]:
        """Those of `directions`, block by block."""
        if len(self.terms) == 1 and len(self.own) == 1:
            (term,) = self.terms
            return ((abs(term.coefficient) if self.added else 1.0) * term.vector.norm,)
        return tuple(float(np.linalg.norm(one.astype(np.float64))) for one in self.directions.values())

    @property
    def norm(self) -> float | None:
        """The norm of what is added, where it is one direction."""
        return self.norms[0] if len(self.own) == 1 else None

    @property
    def kind(self) -> Hashable:
        """What parts have in common for which the same random vectors can be controls, but for the norm."""
        return _kind(self.terms[0])

    def control(self, vector: SteeringVector) -> SteerTerm:
        """The same done with `vector`, which has the blocks `own`."""
        first = self.terms[0]
        return replace(first, vector=vector, coefficient=1.0 if self.added else first.coefficient)

    def readings(self, n_blocks: int) -> dict[int, Direction]:
        """At each block, of a model of `n_blocks`, where it acts: the direction [d_model] to read the stream along."""
        alone = self.directions[self.own[0]] if len(self.own) == 1 else None
        acts = self.terms[0].acts_at(n_blocks)
        return {block: self.directions[block] if alone is None else alone for block in acts}


def parts_of(steering: Steering) -> tuple[Part, ...]:
    """The parts of `steering`, in the order of their first terms."""
    groups: dict[Hashable, list[SteerTerm]] = {}
    for place, term in enumerate(steering):
        groups.setdefault(_kind(term) if term.operation == "add" else place, []).append(term)
    return tuple(Part(tuple(terms)) for terms in groups.values())


def sum_at(terms: Sequence[SteerTerm], block: int) -> Direction:
    """The sum of coefficient x vector [d_model] at `block`."""
    total = sum(np.float64(term.coefficient) * term.vector.at(block).astype(np.float64) for term in terms)
    return np.asarray(total, dtype=np.float32)


def _kind(term: SteerTerm) -> Hashable:
    gate = None if term.gate is None else (term.gate.vector.id or id(term.gate.vector), term.gate.threshold, term.gate.above)
    share = 1.0 if term.operation == "add" else term.coefficient
    return term.vector.blocks, term.operation, term.tokens, term.blocks, gate, share
