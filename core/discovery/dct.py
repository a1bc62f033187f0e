"""Deep causal transcoding (Mack and Turner, 2024), the exponential variant: hundreds of factors at once.

The map f from a vector added at the source to the change at the target, averaged over the seen tokens and the prompts, is taken
for a sum of factors, f(R v) ~ sum_l alpha_l (exp(R <v_l, v>) - 1) u_l. Each iteration makes the input directions V
orthonormal, then sets every u_l to the direction of f(R v_l) and every v_l to the gradient of <u_l, f(R v)> at v_l.
The factors are ranked at the end by alpha_l^2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery.declarations.dct import Settings
from core.discovery.optimisation import Batch, Event, Found, Job, Step
from core.discovery.projections import orthonormal, unit
from core.errors import SettingsError


def find(job: Job) -> Iterator[Event]:
    """len(draws) factors at norm `job.radius`, the most important first (the fact `alpha`)."""
    width = job.draws.shape[1]
    if len(job.draws) > width:
        raise SettingsError(f"{len(job.draws)} factors cannot be orthogonal in a model of width {width}", f"ask for {width}")
    if not job.done:
        yield from job.run(_Exponential(job))


class _Exponential(Batch):
    """A step is one batch of factors; an iteration is done when all batches are."""

    state_names = ("inputs", "outputs", "next_inputs", "values", "losses")

    def __init__(self, job: Job) -> None:
        settings: Settings = job.settings
        count = len(job.draws)
        self.batches = math.ceil(count / settings.batch)
        super().__init__(0, settings.step_count * self.batches)
        assert job.radius is not None
        self.problem, self.radius, self.settings = job.problem.in_precision("float32"), job.radius, settings
        self.inputs = orthonormal(job.draws)
        self.outputs = torch.zeros_like(self.inputs)
        self.next_inputs = torch.zeros_like(self.inputs)
        self.values = job.draws.new_zeros(count)
        self.losses = job.draws.new_full((count, settings.step_count), torch.nan)

    def advance(self) -> Step:
        iteration, batch = divmod(self.step, self.batches)
        rows = slice(batch * self.settings.batch, (batch + 1) * self.settings.batch)
        if batch == 0 and iteration:
            self.inputs = orthonormal(self.next_inputs)
        effect = _mean_effect(self.problem.changes(self.radius * self.inputs[rows]))
        self.outputs[rows] = unit(effect)
        _, gradient = self.problem.differentiate(self._along(self.outputs[rows]), self.radius * self.inputs[rows])
        self.next_inputs[rows] = unit(gradient)
        self.values[rows] = effect.norm(dim=-1)
        self.losses[rows, iteration] = -self.values[rows]
        self.step += 1
        norm = torch.full_like(self.values[rows], self.radius)
        return Step(rows.start, iteration, self.settings.step_count, self.values[rows], gradient.norm(dim=-1), norm)

    def found(self) -> Found:
        alpha = _importance(self.inputs, self.outputs, self.values)
        order = alpha.abs().argsort(descending=True)
        return Found(0, self.radius * self.inputs[order], self.values[order], self.losses[order], {"alpha": alpha[order]})

    def _along(self, outputs: Tensor):  # type: ignore[no-untyped-def]
        share = 1 / len(self.problem.segments)
        return lambda change, prompt, rows: share * (change.mean(dim=1) * outputs[rows]).sum(dim=-1)


def _mean_effect(changes: list[Tensor]) -> Tensor:
    """The change [n, d_model] averaged over seen tokens and prompts."""
    return torch.stack([change.mean(dim=1) for change in changes]).mean(dim=0)


def _importance(inputs: Tensor, outputs: Tensor, values: Tensor) -> Tensor:
    """alpha [n]: the weights with which the factors together give back each one's own effect along its output."""
    kernel = (outputs @ outputs.T).double() * torch.expm1((inputs @ inputs.T).double())
    solved: Tensor = torch.linalg.lstsq(kernel, values[:, None].double()).solution[:, 0]
    return solved.to(values)
