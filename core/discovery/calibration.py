"""Radius `auto`: the R at which the effect of random directions stops being proportional to their norm.

After Mack's SteeringCalibrator (deep causal transcoding, 2024): with f the map from a vector added at the source block to the
change at the target block, and J its Jacobian at zero, find the R at which the root mean square over random unit
directions v of ||f(Rv) - R Jv|| / ||R Jv|| reaches `ratio`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.jacobian import jvp
from core.discovery.objective import Problem
from core.discovery.projections import unit
from core.errors import SettingsError

_DIRECTIONS = 8
# Radii tried lie on a grid between these multiples of the usual norm of the residual stream; a cell is a quarter of a percent.
_LEAST, _MOST, _CELLS = 1e-3, 30.0, 4096
_GUESSES = 4
_SMOOTH = 0.2  # a curve that is farther than this from the ratio in both cells around it jumps over it
# The calibration also measures the curve at these multiples of the chosen radius, for the plot.
_SHOWN = (0.5, 2.0)


@dataclass(frozen=True)
class Calibration:
    """The chosen radius and the curve it was read from: (radius tried, nonlinearity there), by rising radius.

    `jump`: the nonlinearity within a quarter of a percent below and above it, where it is not near `ratio` at either.
    """

    radius: float
    ratio: float
    curve: tuple[tuple[float, float], ...]
    jump: tuple[float, float] | None = None


def calibrate(problem: Problem, ratio: float, seed: int = 0) -> Generator[None, None, Calibration]:
    """Yields between the radii tried; returns the radius at which random directions reach `ratio`.

    In float32 arithmetic, whatever precision the model is in. Raises SettingsError where no radius that was tried does.
    """
    problem = problem.in_precision("float32")
    segment = problem.segments[0]
    generator = torch.Generator().manual_seed(seed)
    directions = unit(torch.randn(_DIRECTIONS, segment.base.shape[-1], generator=generator)).to(problem.device)
    scale = segment.residual_norm
    linear = jvp(problem, directions)
    yield

    def radius(cell: float) -> float:
        return scale * _LEAST * float((_MOST / _LEAST) ** (cell / _CELLS))

    def value(cell: int) -> float:
        return nonlinearity(problem, directions, radius(cell), linear)

    cell, tried = yield from crossing(value, ratio)
    for edge in (0, _CELLS):
        if abs(cell + 0.5 - edge) < 1:  # the search takes its grid's ends on trust
            tried[edge] = value(edge)
            yield
    if not tried[cell] < ratio or not ratio <= tried[cell + 1] < math.inf:
        raise _no_crossing(tried, ratio, radius)
    chosen, curve = radius(cell + 0.5), {radius(cell): value for cell, value in tried.items()}
    for multiple in _SHOWN:
        curve[multiple * chosen] = nonlinearity(problem, directions, multiple * chosen, linear)
        yield
    around = tried[cell], tried[cell + 1]
    smooth = around[0] > ratio * (1 - _SMOOTH) and around[1] < ratio * (1 + _SMOOTH)
    return Calibration(chosen, ratio, tuple(sorted(curve.items())), None if smooth else around)


def _no_crossing(tried: Mapping[int, float], ratio: float, radius: Callable[[float], float]) -> SettingsError:
    """The error: between which radii the search looked, and the nonlinearity at both."""
    finite = {cell: value for cell, value in tried.items() if math.isfinite(value)} or {0: math.nan}
    ends = (f"R = {radius(cell):.3g}, where it is {finite[cell]:.2g}" for cell in (min(finite), max(finite)))
    looked = "from {}, to {}".format(*ends)
    if len(finite) < len(tried):
        looked += "; beyond, activations are no finite numbers"
    return SettingsError(
        f"no radius was found at which the nonlinearity of random vectors reaches {ratio:g}: looked {looked}",
        "give a radius, or other source and target blocks",
    )


def crossing(value: Callable[[int], float], ratio: float) -> Generator[None, None, tuple[int, dict[int, float]]]:
    """The grid's cell at whose lower end `value` is below `ratio` and at its upper end is not, and what was tried on the way.

    The one that bisection finds where `value` rises, in half the trials where it is smooth. Yields between trials.
    """
    tried: dict[int, float] = {}
    low, high = 0, _CELLS
    while high - low > 1:
        halve = len(tried) >= _GUESSES and len(tried) % 3 == 2  # where the curve defies guesses
        cell = (low + high) // 2 if halve else _guess(tried, low, high, ratio)
        tried[cell] = value(cell)
        low, high = (cell, high) if tried[cell] < ratio else (low, cell)
        yield
    return low, tried


def _guess(tried: Mapping[int, float], low: int, high: int, ratio: float) -> int:
    """The next cell to try, strictly between `low` and `high`: where the line through the two nearest trials, on logarithms of
    both, meets `ratio`; through one, as if nonlinearity grew in proportion to the radius."""
    grown = {cell: math.log(value / ratio) for cell, value in tried.items() if 0 < value < math.inf}
    if not grown:
        return (low + high) // 2
    nearest = sorted(grown, key=lambda cell: abs(grown[cell]))[:2]
    slope = math.log(_MOST / _LEAST) / _CELLS
    if len(nearest) == 2:
        slope = max((grown[nearest[1]] - grown[nearest[0]]) / (nearest[1] - nearest[0]), slope / 8)
    return min(max(math.floor(nearest[0] - grown[nearest[0]] / slope), low + 1), high - 1)


def nonlinearity(problem: Problem, directions: Tensor, radius: float, linear: list[Tensor]) -> float:
    """Root mean square over directions and prompts of ||f(Rv) - R Jv|| / ||R Jv||, on the tokens the objective sees."""
    errors = []
    for change, product in zip(problem.changes(radius * directions), linear, strict=True):
        expected = radius * product
        errors.append((change - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1).clamp_min(1e-12))
    return float(torch.cat(errors).square().mean().sqrt())
