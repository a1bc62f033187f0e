"""Products with the Jacobian J of the block-to-block map at zero: from a vector at the source to the change at the target."""

from __future__ import annotations

import torch
from torch import Tensor

from core.discovery.objective import Problem


def jvp(problem: Problem, directions: Tensor) -> list[Tensor]:
    """J v for each prompt [n, seen tokens, d_model] and each row v of `directions` [n, d_model], by central differences.

    Forward-mode derivatives do not exist for fused attention kernels. The step is a share of the residual stream's norm.
    """
    step = problem.segments[0].difference_step
    above, below = problem.changes(step * directions), problem.changes(-step * directions)
    return [(high - low) / (2 * step) for high, low in zip(above, below, strict=True)]


def vjp(problem: Problem, effects: list[Tensor]) -> Tensor:
    """The sum over prompts of J^T u, [n, d_model], for `effects` u [n, seen tokens, d_model], one tensor a prompt."""
    zero = torch.zeros(len(effects[0]), problem.segments[0].base.shape[-1], device=problem.device)
    _, gradient = problem.differentiate(lambda change, prompt, rows: (change * effects[prompt][rows]).flatten(1).sum(1), zero)
    return gradient
