"""Power steering (Ayyub, "Power steering", 2026): the top right-singular vectors of the block-to-block Jacobian.

What MELBO finds at an infinitesimal radius, all at once and in order: orthonormal directions v_1, v_2 ... at the source
block whose first-order effect ||J v|| at the target, over the tokens that the objective sees, is the largest. Found by block
power iteration, V <- orth(J^T J V), with a Rayleigh-Ritz rotation at each step.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery.jacobian import jvp, vjp
from core.discovery.objective import Problem
from core.discovery.optimisation import Batch, Event, Found, Job, Step
from core.discovery.projections import orthonormal
from core.errors import SettingsError

# Extra directions carried along, so that the last one asked for converges as fast as the first ones do.
SPARE = 4


def find(job: Job) -> Iterator[Event]:
    """The top len(draws) directions at norm `job.radius`, by falling singular value (the fact `singular_value`)."""
    width = job.draws.shape[1]
    if len(job.draws) > width:
        raise SettingsError(f"a model of width {width} has no {len(job.draws)} singular directions")
    if not job.done:
        yield from job.run(_BlockIteration(job))


class _BlockIteration(Batch):
    state_names = ("directions", "values", "losses")

    def __init__(self, job: Job) -> None:
        super().__init__(0, job.settings.step_count)
        assert job.radius is not None
        self.problem, self.radius, self.count = job.problem.in_precision("float32"), job.radius, len(job.draws)
        width = job.draws.shape[1]
        spare = torch.randn(SPARE, width, generator=torch.Generator().manual_seed(len(job.draws))).to(job.draws)
        self.directions = orthonormal(torch.cat([job.draws, spare])[:width])
        self.values = job.draws.new_zeros(len(self.directions))
        self.losses = job.draws.new_full((self.count, self.steps), torch.nan)

    def advance(self) -> Step:
        self.directions, self.values, gradient = improved(self.problem, self.directions)
        self.losses[:, self.step] = -self.values[: self.count]
        self.step += 1
        shown = self.values[: self.count]
        return Step(0, self.step - 1, self.steps, shown, gradient[: self.count], torch.full_like(shown, self.radius))

    def found(self) -> Found:
        directions, values = singular(self.problem, self.directions)
        directions, values = directions[: self.count], values[: self.count]
        return Found(0, self.radius * directions, values, self.losses, {"singular_value": values})


def improved(problem: Problem, directions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """One iteration: directions [k, d_model] by falling singular value, these values [k], and ||J^T J v|| [k]."""
    effects = jvp(problem, directions)
    directions, values, effects = _by_singular_value(directions, effects)
    back = vjp(problem, effects)
    return orthonormal(back), values, back.norm(dim=-1)


def singular(problem: Problem, directions: Tensor) -> tuple[Tensor, Tensor]:
    """The best directions [k, d_model] in the span of `directions`, with their singular values [k], falling."""
    directions, values, _ = _by_singular_value(directions, jvp(problem, directions))
    return directions, values


def _by_singular_value(directions: Tensor, effects: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Rayleigh-Ritz: rotates `directions` within their span so that their effects J v are orthogonal, largest first."""
    flat = torch.cat([effect.flatten(1) for effect in effects], dim=1)
    rotation, values, _ = torch.linalg.svd(flat, full_matrices=False)
    return rotation.T @ directions, values, [torch.einsum("nk,ntd->ktd", rotation, effect) for effect in effects]
