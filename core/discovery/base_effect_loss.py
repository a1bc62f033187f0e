"""A family's loss: the distance from the change that the base vector makes at the target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.objective import Measure, Problem
from core.discovery.projections import unit

_TINY = 1e-24  # under a root, where the change is the target exactly, the gradient would not be finite


@dataclass(frozen=True)
class Look:
    """An evaluation of rows: the final loss [n], its gradient [n, d_model], and the plain loss [n], summed over prompts."""

    penalised: Tensor
    gradient: Tensor
    loss: Tensor


class BaseEffectLoss:
    """What the base vector does at the target, and how far others are from doing the same.

    `match` tokens compares the change at every seen token, mean their mean, as the published code does.
    """

    def __init__(self, problem: Problem, base: Tensor, match: str) -> None:
        self.problem = problem
        self.base_norm = float(base.norm())
        self.direction = base[None]
        self._match = match
        self._targets = [self._pooled(change) for change in problem.changes(base[None])]
        # How much the base changes: the norm of the change, summed over prompts.
        self.size = torch.stack([target.norm() for target in self._targets]).sum()

    def loss(self, squared: bool = False) -> Measure:
        """||change - target|| of each row on a prompt, or half its square."""

        def measure(change: Tensor, prompt: int, rows: slice) -> Tensor:
            squares = (self._pooled(change) - self._targets[prompt]).flatten(1).square().sum(dim=1)
            return squares / 2 if squared else (squares + _TINY).sqrt()

        return measure

    def look(self, theta: Tensor, penalty: float) -> Look:
        """Half the squared loss of rows `theta`, to which `penalty` times their norm, times the base's effect, is added."""
        halves, gradient = self.problem.differentiate(self.loss(squared=True), theta, f"half squared loss {id(self)}")
        slope = gradient + penalty * self.size * unit(theta)
        return Look(self.penalised(halves, theta, penalty), slope, (2 * halves).sqrt().sum(dim=0))

    def penalised(self, halves: Tensor, theta: Tensor, penalty: float) -> Tensor:
        """The final loss [n], as `look` gives it, of rows `theta` whose half squared losses are `halves` [prompts, n]."""
        penalised: Tensor = halves.sum(dim=0) + penalty * self.size * theta.norm(dim=-1)
        return penalised

    def losses(self, vectors: Tensor) -> Tensor:
        """The loss [n] of each of `vectors`, summed over prompts."""
        return self.problem.measured(self.loss(), vectors).sum(dim=0)

    def matched(self, loss: Tensor) -> Tensor:
        """The share of the base's effect that is met where the losses sum to `loss`: 1 all of it, 0 nothing."""
        return 1 - loss / self.size

    def _pooled(self, change: Tensor) -> Tensor:
        return change.mean(dim=1) if self._match == "mean" else change
