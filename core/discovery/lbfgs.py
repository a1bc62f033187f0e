"""Limited-memory BFGS for a batch of rows at once, each with its own curvature and its own trust radius.

Rows that are projected after every step move a little by themselves, so a loss may rise by a hair and still be accepted.
"""

from __future__ import annotations

import torch
from torch import Tensor

_MEMORY = 20
_SLACK = 1.05
_GROW, _SHRINK = 1.5, 0.5


class LBFGS:
    """`step` turns the losses and gradients at the rows last proposed into where to look next.

    Its state is the tensors in `state_names`: the best rows with their gradients and losses, the trust radii [n], and the
    last differences of rows and of gradients, [n, memory, d], the newest at the end. Rows may join and leave.
    """

    state_names = ("best", "gradient", "loss", "trust", "moves", "turns")

    def __init__(self, rows: Tensor, trust: float) -> None:
        self.best = rows
        self.gradient = torch.zeros_like(rows)
        self.loss = rows.new_full((len(rows),), torch.inf)
        self.trust = torch.full_like(self.loss, trust)
        self.moves = rows.new_zeros(len(rows), _MEMORY, rows.shape[1])
        self.turns = torch.zeros_like(self.moves)

    def join(self, other: LBFGS) -> None:
        """The rows of `other` stand behind these from here on."""
        for name in self.state_names:
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))

    def leave(self, count: int) -> None:
        """The first `count` rows are no longer looked at."""
        for name in self.state_names:
            setattr(self, name, getattr(self, name)[count:])

    def step(self, rows: Tensor, loss: Tensor, gradient: Tensor) -> Tensor:
        """Takes in what was found at `rows` [n, d] and gives the next rows, not yet projected.

        A row whose loss rose goes back to its best and tries half as far as it went; one whose loss is not finite does so too.
        """
        first = self.loss.isinf()
        fell = loss <= self.loss * _SLACK
        move = rows - self.best
        self._remember(move, gradient - self.gradient, fell & ~first)
        moved = move.norm(dim=-1)
        trust = torch.where(fell, torch.maximum(self.trust, moved * _GROW), moved * _SHRINK)
        self.trust = torch.where(first, self.trust, trust)
        self.keep(rows, loss, gradient)
        newton = -self._newton(self.gradient)
        length = newton.norm(dim=-1, keepdim=True)
        proposed: Tensor = self.best + newton * (self.trust[:, None] / length.clamp_min(1e-12)).clamp_max(1.0)
        return proposed

    def keep(self, rows: Tensor, loss: Tensor, gradient: Tensor) -> None:
        """Takes over the rows whose loss did not rise."""
        fell = loss <= self.loss * _SLACK
        self.best = torch.where(fell[:, None], rows, self.best)
        self.gradient = torch.where(fell[:, None], gradient, self.gradient)
        self.loss = torch.where(fell, loss, self.loss * _SLACK)

    def _remember(self, move: Tensor, turn: Tensor, useful: Tensor) -> None:
        """Keeps the differences of rows that fell along a direction of positive curvature; the others' count as none."""
        curvature = (move * turn).sum(dim=-1)
        useful = useful & (curvature > 1e-6 * move.norm(dim=-1) * turn.norm(dim=-1))
        fresh = [torch.where(useful[:, None], part, torch.zeros_like(part))[:, None] for part in (move, turn)]
        self.moves, self.turns = (
            torch.cat([kept[:, 1:], new], dim=1) for kept, new in zip((self.moves, self.turns), fresh, strict=True)
        )

    def _newton(self, gradient: Tensor) -> Tensor:
        """The inverse Hessian that the differences speak of, times `gradient` (the two-loop recursion)."""
        curvature = (self.moves * self.turns).sum(dim=-1)
        weight = torch.where(curvature > 0, 1 / curvature.clamp_min(1e-30), torch.zeros_like(curvature))
        left, shares = gradient, []
        scale = torch.zeros_like(self.loss)
        pairs = list(zip(self.moves.unbind(1), self.turns.unbind(1), weight.unbind(1), curvature.unbind(1), strict=True))
        for move, turn, w, c in reversed(pairs):
            share = w * (move * left).sum(dim=-1)
            shares.append(share)
            left = left - share[:, None] * turn
            newest = c / turn.square().sum(dim=-1).clamp_min(1e-30)
            scale = torch.where((scale == 0) & (c > 0), newest, scale)
        # Before any curvature is known the trust radius alone says how far to go.
        left = left * torch.where(scale > 0, scale, torch.full_like(scale, 1e9))[:, None]
        for (move, turn, w, _), share in zip(pairs, reversed(shares), strict=True):
            left = left + (share - w * (turn * left).sum(dim=-1))[:, None] * move
        return left
