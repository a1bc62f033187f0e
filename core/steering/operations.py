"""What steers the residual stream of a batch's rows, as tensors: one term of each row at a time.

Shapes depend on how many rows and terms there are, never on what these say, and nothing here asks the device for a number, so
that a step with them can be recorded and used again for others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from core.steering.terms import SteerGate, SteerTerm
from vectors.vector import SteeringVector

_NEVER = 1 << 40  # a position behind all others


@dataclass
class RowTensors:
    """Tensors with a row for each of the batch. They follow the stream's device, and take another batch's numbers in place."""

    def to(self, device: torch.device) -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name).to(device))

    def take_over(self, other: RowTensors) -> None:
        """Puts in the numbers of `other`, of the same kind and shape."""
        for field in fields(self):
            getattr(self, field.name).copy_(getattr(other, field.name))


@dataclass
class Sums(RowTensors):
    """What is added to each row at all tokens, `direction` [n, 1, d_model]: the sum of its vectors by their coefficients."""

    direction: Tensor

    @classmethod
    def of(cls, n: int, terms: list[tuple[int, SteerTerm]], block: int) -> Sums:
        """The sums of `terms`, each with its row, at `block`."""
        direction = torch.zeros(n, 1, terms[0][1].vector.d_model)
        for row, term in terms:
            direction[row, 0] += term.coefficient * torch.from_numpy(term.direction_at(block).copy())
        return cls(direction)

    def __call__(self, hidden: Tensor) -> Tensor:
        if self.direction.device != hidden.device:
            self.to(hidden.device)
        return hidden + self.direction.to(hidden.dtype)


class Units:
    """Vectors at norm 1, or zeros where they are zero, with their norms: each made once for all blocks that it is to act at."""

    def __init__(self) -> None:
        self._made: dict[tuple[SteeringVector, int], tuple[Tensor, float]] = {}

    def __call__(self, vector: SteeringVector, block: int) -> tuple[Tensor, float]:
        """The unit vector [d_model] with which `vector` acts at `block`, and its norm there."""
        own = block if block in vector.blocks else vector.block
        if (vector, own) not in self._made:
            direction = torch.from_numpy(vector.at(own).copy()).double()
            norm = float(direction.norm())
            self._made[vector, own] = (direction / norm if norm else direction).float(), norm
        return self._made[vector, own]


@dataclass
class OneTermEach(RowTensors):
    """At most one term of each row: h becomes h + (shift - share (h . u)) u, and where `keeps` that at h's norm.

    `direction` [n, d_model] holds the unit vectors u, or zeros, which change nothing; the others are [n, 1]. For `add` the
    shift is c |v| and the share 0; for `set` they are c |v| and 1, for `ablate` 0 and c.
    """

    direction: Tensor
    shift: Tensor
    share: Tensor
    keeps: Tensor

    @classmethod
    def of(cls, n: int, terms: Mapping[int, SteerTerm], block: int, units: Units) -> OneTermEach:
        """`terms` by their rows, as they act at `block`."""
        direction = torch.zeros(n, next(iter(terms.values())).vector.d_model)
        shift, share, keeps = [0.0] * n, [0.0] * n, [False] * n
        for row, term in terms.items():
            direction[row], norm = units(term.vector, block)
            shift[row] = 0.0 if term.operation == "ablate" else term.coefficient * norm
            share[row] = {"ablate": term.coefficient, "set": 1.0}.get(term.operation, 0.0)
            keeps[row] = term.operation == "keep-norm"
        return cls(direction, *(torch.tensor(column)[:, None] for column in (shift, share, keeps)))

    def __call__(self, hidden: Tensor, acting: Tensor | None, removes: bool, keeps: bool) -> Tensor:
        """`hidden` [n, tokens, d_model], float32, with the terms acted out at the tokens `acting` [n, tokens], or at all.

        `removes` and `keeps` tell whether any row takes a share away, or keeps its norm.
        """
        if self.direction.device != hidden.device:
            self.to(hidden.device)
        direction = self.direction[:, None]
        amount = self.shift
        if removes:
            amount = torch.addcmul(amount, torch.linalg.vecdot(hidden, direction), self.share, value=-1.0)
        if acting is not None:
            amount = torch.where(acting, amount, 0.0)
        changed = torch.addcmul(hidden, amount[..., None], direction)
        if not keeps:
            return changed
        norm, reached = (torch.linalg.vector_norm(h, dim=-1) for h in (hidden, changed))
        scale = norm / reached.clamp_min(torch.finfo(torch.float32).tiny)
        where = self.keeps if acting is None else self.keeps & acting
        return changed * torch.where(where, scale, 1.0)[..., None]


@dataclass
class GateEach(RowTensors):
    """At most one gate of each row: it opens where h . direction > limit; `direction` [n, d_model], `limit` [n, 1].

    Rows without a gate are open. A gate on w above X compares u . h with X |w|, u = w / |w|; one below, the negatives of both.
    """

    direction: Tensor
    limit: Tensor

    @classmethod
    def of(cls, n: int, gates: Mapping[int, SteerGate], units: Units) -> GateEach:
        """`gates` by their rows."""
        width = next(iter(gates.values())).vector.d_model
        one = cls(torch.zeros(n, width), torch.full((n, 1), -math.inf))
        for row, gate in gates.items():
            unit, norm = units(gate.vector, gate.block)
            sign = 1.0 if gate.above else -1.0
            # The projection on a zero vector is 0, in whatever units.
            one.direction[row], one.limit[row] = sign * unit, sign * gate.threshold * (norm or 1.0)
        return one

    def __call__(self, hidden: Tensor) -> Tensor:
        """Where `hidden` [n, tokens, d_model], float32, opens them: [n, tokens]."""
        if self.direction.device != hidden.device:
            self.to(hidden.device)
        component: Tensor = torch.linalg.vecdot(hidden, self.direction[:, None])
        return component > self.limit


@dataclass
class TokensEach(RowTensors):
    """The tokens of each row's terms: `edges` [n, terms, 2 m] are the first position of each span and the one behind it, in
    rising order; positions behind an odd number of edges are among them.
    """

    edges: Tensor

    @classmethod
    def of(cls, rows: list[tuple[SteerTerm, ...]], prompt_length: int) -> TokensEach:
        spans = [[term.tokens.spans(prompt_length) for term in row] for row in rows]
        most = max(len(one) for row in spans for one in row)
        each = cls(torch.full((len(rows), max(map(len, rows)), 2 * most), _NEVER))
        for r, row in enumerate(spans):
            for t, one in enumerate(row):
                edges = [_NEVER if edge is None else edge for span in one for edge in span]
                each.edges[r, t, : len(edges)] = torch.tensor(edges)
        return each

    def __call__(self, positions: Tensor) -> Tensor:
        """Whether each of `positions` [tokens] is steered by each term: [n, terms, tokens]."""
        if self.edges.device != positions.device:
            self.to(positions.device)
        wanted = positions.expand(*self.edges.shape[:2], -1).contiguous()
        return torch.searchsorted(self.edges, wanted, right=True) % 2 == 1
