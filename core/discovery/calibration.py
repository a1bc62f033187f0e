"""Radius `auto`: how large a push may be before what it does stops growing in proportion to it.

After Mack's SteeringCalibrator (deep causal transcoding, 2024): with f the map from a push at the source block to the
change at the target block, and J its Jacobian at zero, find the R at which the root mean square over random unit
directions v of ||f(Rv) - R Jv|| / ||R Jv|| reaches `ratio`.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.jacobian import pushed
from core.discovery.objective import Problem
from core.discovery.projections import unit

_DIRECTIONS = 8
_STEPS = 12


@dataclass(frozen=True)
class Calibration:
    """The chosen radius and the curve it was read from: (radius tried, nonlinearity there), by rising radius."""

    radius: float
    ratio: float
    curve: tuple[tuple[float, float], ...]


def calibrate(problem: Problem, ratio: float, seed: int = 0) -> Generator[None, None, Calibration]:
    """Yields between the radii tried; returns the radius at which random directions reach `ratio`."""
    segment = problem.segments[0]
    generator = torch.Generator().manual_seed(seed)
    directions = unit(torch.randn(_DIRECTIONS, segment.base.shape[-1], generator=generator)).to(problem.device)
    scale = segment.residual_norm
    linear = pushed(problem, directions)
    yield
    # Bisection on the logarithm, between a thousandth of and thirty times the usual norm of the residual stream.
    low, high = 1e-3 * scale, 30 * scale
    curve: list[tuple[float, float]] = []
    for _ in range(_STEPS):
        radius = (low * high) ** 0.5
        curve.append((radius, nonlinearity(problem, directions, radius, linear)))
        low, high = (radius, high) if curve[-1][1] < ratio else (low, radius)
        yield
    return Calibration((low * high) ** 0.5, ratio, tuple(sorted(curve)))


def nonlinearity(problem: Problem, directions: Tensor, radius: float, linear: list[Tensor]) -> float:
    """Root mean square over directions and prompts of ||f(Rv) - R Jv|| / ||R Jv||, on the tokens the objective sees."""
    errors = []
    for change, product in zip(problem.changes(radius * directions), linear, strict=True):
        expected = radius * product
        errors.append((change - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1).clamp_min(1e-12))
    return float(torch.cat(errors).square().mean().sqrt())
