"""MELBO (Mack, "Mechanistically eliciting latent behaviors in language models", 2024).

Find theta with ||theta|| = R, added to the residual stream at the source block on all token positions, that maximises
the change of the target block's output on a prompt. Two optimisers climb the same objective:

- `power`: theta <- R unit(w unit(theta) + unit(gradient)), a damped power iteration: tens of steps, many vectors at once.
- `adamw`: the published loop, step for step: AdamW on theta, projected back onto the sphere; hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.objective import Problem
from core.discovery.projections import orthogonal_in_order, project_off, unit
from core.errors import SettingsError

OPTIMIZERS = ("power", "adamw")
_DAMPING = 2.0
_LEAST_DAMPING, _MOST_DAMPING = 1.0, 64.0


@dataclass(frozen=True)
class MelboSettings:
    """`steps` None: 12 for power, 300 for adamw. `batch`: how many vectors are trained at once."""

    radius: float
    steps: int | None = None
    optimizer: str = "power"
    orthogonal: bool = False
    batch: int = 8
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        if not 0 < self.radius < float("inf"):
            raise SettingsError(f"the radius must be a positive number, not {self.radius:g}", "leave it at auto if unsure")
        if self.optimizer not in OPTIMIZERS:
            raise SettingsError(f"optimizer {self.optimizer!r} is unknown", f"use one of: {', '.join(OPTIMIZERS)}")
        if self.steps is not None and self.steps < 1:
            raise SettingsError("at least one step is needed")

    @property
    def step_count(self) -> int:
        return self.steps or (12 if self.optimizer == "power" else 300)


@dataclass(frozen=True)
class Step:
    """Rows first..first+n of the run after a step: per vector the objective and the gradient's norm, [n] each."""

    first: int
    step: int
    objective: tuple[float, ...]
    gradient_norm: tuple[float, ...]


@dataclass(frozen=True)
class Found:
    """Finished vectors: rows first..first+n [n, d_model], their objective [n] and the losses on the way [n, steps]."""

    first: int
    vectors: Tensor
    objective: Tensor
    losses: Tensor


def melbo(problem: Problem, settings: MelboSettings, start: Tensor, skip: int = 0) -> Iterator[Step | Found]:
    """Trains one vector from each row of `start` [n, d_model], the raw draws; the first `skip` rows of it are done already.

    Yields after every step of every batch, and may be closed at any yield.
    """
    start = start.to(problem.device, torch.float32)
    climb = _power if settings.optimizer == "power" else _adamw
    # The published loop finds orthogonal vectors one after another; the power iteration holds a whole batch in order.
    batch = 1 if settings.optimizer == "adamw" and settings.orthogonal else settings.batch
    earlier = start.new_zeros(0, start.shape[1])
    for first in range(skip, len(start), batch):
        draws = start[first : first + batch]
        found = yield from climb(problem, settings, draws, first, earlier if settings.orthogonal else None)
        if settings.orthogonal:
            earlier = torch.cat([earlier, unit(found.vectors)])
        yield found


def _on_sphere(rows: Tensor, radius: float, earlier: Tensor | None) -> Tensor:
    """Rows of norm `radius`; with `earlier` (orthonormal rows), orthogonal to those and to the rows before them."""
    return radius * unit(rows if earlier is None else orthogonal_in_order(rows, earlier))


def _power(
    problem: Problem, settings: MelboSettings, draws: Tensor, first: int, earlier: Tensor | None
) -> Generator[Step, None, Found]:
    """Damped power iteration. Keeps the best; a step that fell is taken back and tried again, shorter.

    Rows that must stay orthogonal depend on each other, so they are accepted or taken back together.
    """
    together = earlier is not None
    theta = _on_sphere(draws, settings.radius, earlier)
    best, best_gradient = theta, torch.zeros_like(theta)
    best_value = torch.full((len(theta),), -torch.inf, device=theta.device)
    damping = torch.full_like(best_value, _DAMPING)
    losses = []
    for step in range(settings.step_count):
        values, gradient = problem.values_and_gradient(theta)
        value = values.sum(dim=0)
        rose = (value.mean() > best_value.mean()).expand_as(value) if together else value > best_value
        damping = torch.where(rose, damping / 1.25, damping * 2).clamp(_LEAST_DAMPING, _MOST_DAMPING)
        best, best_gradient = torch.where(rose[:, None], theta, best), torch.where(rose[:, None], gradient, best_gradient)
        best_value = torch.where(rose, value, best_value)
        losses.append(-value)
        theta = _on_sphere(damping[:, None] * unit(best) + unit(best_gradient), settings.radius, earlier)
        yield Step(first, step, tuple(best_value.tolist()), tuple(gradient.norm(dim=-1).tolist()))
    with torch.no_grad():  # where the last step led is not known yet
        value = problem.values(theta).sum(dim=0)
    rose = (value.mean() > best_value.mean()).expand_as(value) if together else value > best_value
    best, best_value = torch.where(rose[:, None], theta, best), torch.where(rose, value, best_value)
    return Found(first, best, best_value, torch.stack(losses, dim=1))


def _adamw(
    problem: Problem, settings: MelboSettings, draws: Tensor, first: int, earlier: Tensor | None
) -> Generator[Step, None, Found]:
    """The published loop. Its loss is logged before each step, with several prompts the last one's alone, as it does."""
    theta = _on_sphere(draws, settings.radius, earlier).clone().requires_grad_()
    optimizer = torch.optim.AdamW([theta], lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=0.0, amsgrad=True)
    losses = []
    for step in range(settings.step_count):
        values, gradient = problem.values_and_gradient(theta.detach())
        losses.append(-values[-1])
        gradient = project_off(gradient, earlier)
        direction = unit(theta.detach())
        theta.grad = -(gradient - (gradient * direction).sum(dim=-1, keepdim=True) * direction)
        optimizer.step()
        with torch.no_grad():
            theta.copy_(_on_sphere(theta, settings.radius, earlier))
        yield Step(first, step, tuple(values.sum(dim=0).tolist()), tuple(gradient.norm(dim=-1).tolist()))
    vectors = theta.detach().clone()
    with torch.no_grad():
        value = problem.values(vectors).sum(dim=0)
    return Found(first, vectors, value, torch.stack(losses, dim=1))
