"""What the terms of a batch's rows do at each block, in the order in which they stand, at the tokens where their gates open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from core.steering.operations import GateEach, OneTermEach, RowTensors, Sums, TokensEach, Units
from core.steering.terms import SteerGate, Steering, SteerTerm

# The positions of so many tokens, on that device.
Positions = Callable[[int, torch.device], Tensor]


@dataclass(frozen=True)
class _Placed:
    """A term, the `column`-th of row `row`, the blocks where it acts, and the first of these."""

    row: int
    column: int
    term: SteerTerm
    blocks: frozenset[int]
    first: int

    @property
    def is_sum(self) -> bool:
        """Whether it adds the same to every token."""
        return self.term.operation == "add" and self.term.tokens.kind == "all" and self.term.gate is None


class Acting:
    """At which tokens of one forward the terms act, a mask [n, tokens] for each column of terms: narrowed as gates are read."""

    def __init__(self, columns: TokenColumns, positions: Positions) -> None:
        self._columns, self._positions = columns, positions
        self._everywhere: Tensor | None = None
        self._masks: dict[int, Tensor] = {}

    def of(self, column: int, like: Tensor) -> Tensor | None:
        """The mask, where `like` [n, tokens, ...] is; None where all tokens are steered."""
        if column not in self._masks:
            if column not in self._columns.limited:
                return None
            assert self._columns.tokens is not None
            if self._everywhere is None:
                self._everywhere = self._columns.tokens(self._positions(like.shape[1], like.device))
            self._masks[column] = self._everywhere[:, column]
        # Kept where it is now: the blocks to come are on that device too.
        mask = self._masks[column] = self._masks[column].to(like.device)
        return mask

    def narrow(self, column: int, opened: Tensor) -> None:
        """Lets the terms of `column` act only where `opened` [n, tokens], from here on."""
        mask = self.of(column, opened)
        self._masks[column] = opened if mask is None else mask & opened


class TokenColumns:
    """The tokens of the terms by their columns; `limited` are the columns in which some term leaves tokens out."""

    def __init__(self, rows: Sequence[Steering], prompt_length: int) -> None:
        self.limited = frozenset(i for row in rows for i, term in enumerate(row) if term.tokens.kind != "all")
        self.tokens = TokensEach.of(list(rows), prompt_length) if self.limited else None

    @property
    def layout(self) -> tuple[Any, ...]:
        return tuple(sorted(self.limited)), None if self.tokens is None else tuple(self.tokens.edges.shape)


@dataclass
class _Step:
    """The terms of one column at a block, behind the gates that are read there for them."""

    column: int
    gates: GateEach | None
    terms: OneTermEach
    removes: bool
    keeps: bool

    @classmethod
    def of(cls, n: int, column: int, placed: Sequence[_Placed], block: int, units: Units) -> _Step:
        terms = {one.row: one.term for one in placed}
        operations = {term.operation for term in terms.values()}
        gates = _gates(placed, block)
        return cls(
            column,
            GateEach.of(n, gates, units) if gates else None,
            OneTermEach.of(n, terms, block, units),
            removes=not operations.isdisjoint(("ablate", "set")),
            keeps="keep-norm" in operations,
        )

    def __call__(self, hidden: Tensor, acting: Acting) -> Tensor:
        if self.gates is not None:
            acting.narrow(self.column, self.gates(hidden))
        return self.terms(hidden, acting.of(self.column, hidden), self.removes, self.keeps)


class BlockTerms:
    """All that happens at the output of `block`: the sums of all rows, or the columns of terms in turn; then the gates of terms
    that act at later blocks alone are read.
    """

    def __init__(self, n: int, block: int, placed: Sequence[_Placed], units: Units) -> None:
        self.block = block
        here = [one for one in placed if block in one.blocks]
        only_sums = all(one.is_sum for one in here)
        self._sums = Sums.of(n, [(one.row, one.term) for one in here], block) if here and only_sums else None
        self._steps = [] if only_sums else [_Step.of(n, column, some, block, units) for column, some in _by_column(here)]
        later = _by_column(one for one in placed if one.first > block)
        found = ((column, _gates(some, block)) for column, some in later)
        self._gates = [(column, GateEach.of(n, gates, units)) for column, gates in found if gates]

    def __call__(self, hidden: Tensor, acting: Acting) -> Tensor:
        """The block's output `hidden` [n, tokens, d_model] with the terms acted out."""
        if self._sums is not None:
            hidden = self._sums(hidden)
        elif self._steps:
            changed = hidden.float()
            for step in self._steps:
                changed = step(changed, acting)
            hidden = changed.to(hidden.dtype)
        for column, gates in self._gates:
            acting.narrow(column, gates(hidden.float()))
        return hidden

    @property
    def layout(self) -> tuple[Any, ...]:
        """What decides how it is computed."""
        steps = tuple((step.column, step.gates is not None, step.removes, step.keeps) for step in self._steps)
        return self.block, self._sums is not None, steps, tuple(column for column, _ in self._gates)

    @property
    def tensors(self) -> list[RowTensors]:
        """What it is computed from, in an order that the layout gives."""
        parts = [self._sums, *(part for step in self._steps for part in (step.gates, step.terms))]
        return [part for part in (*parts, *(gates for _, gates in self._gates)) if part is not None]


def block_terms(rows: Sequence[Steering], n_blocks: int) -> list[BlockTerms]:
    """What `rows` do at each block of a model of `n_blocks` where something acts, or a gate is read; rising."""
    placed = []
    for row, terms in enumerate(rows):
        for column, term in enumerate(terms):
            blocks = term.acts_at(n_blocks)
            placed.append(_Placed(row, column, term, frozenset(blocks), blocks[0]))
    read = {one.term.gate.block for one in placed if one.term.gate is not None}
    units = Units()
    return [BlockTerms(len(rows), block, placed, units) for block in sorted(read.union(*(one.blocks for one in placed)))]


def _gates(placed: Iterable[_Placed], block: int) -> dict[int, SteerGate]:
    """Those of their gates that are read at `block`, by row."""
    return {one.row: one.term.gate for one in placed if one.term.gate is not None and one.term.gate.block == block}


def _by_column(placed: Iterable[_Placed]) -> list[tuple[int, list[_Placed]]]:
    columns: dict[int, list[_Placed]] = {}
    for one in placed:
        columns.setdefault(one.column, []).append(one)
    return sorted(columns.items())
