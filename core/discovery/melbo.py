"""MELBO (Mack, "Mechanistically eliciting latent behaviors in language models", 2024).

Find theta with ||theta|| = R, added to the residual stream at the source block on all token positions, that maximises
the change of the target block's output on a prompt. Two optimisers maximise the same objective:

- `power`: theta <- R unit(w unit(theta) + unit(gradient)), a damped power iteration: a handful of steps, many vectors at
  once. Every step lets theta act on the whole prompt: steps on its last tokens alone reach as high an objective, but find less.
- `adamw`: the published loop, step for step: AdamW on theta, projected back onto the sphere; hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery.declarations.melbo import Settings
from core.discovery.effects import Effects
from core.discovery.optimisation import Batch, Event, Found, Job, Step, in_batches
from core.discovery.projections import Basis, unit
from core.errors import SettingsError

_DAMPING, _LEAST_DAMPING, _MOST_DAMPING = 1.0, 0.5, 64.0


def find(job: Job) -> Iterator[Event]:
    """One vector of norm `job.radius` from each draw. Yields after every step of every batch; may be closed at any yield."""
    settings: Settings = job.settings
    if settings.orthogonal and len(job.draws) > job.draws.shape[1]:
        raise SettingsError(f"{len(job.draws)} vectors cannot all be orthogonal in a model of width {job.draws.shape[1]}")
    optimisation = _Power if settings.optimizer == "power" else _AdamW
    # The published loop finds orthogonal vectors one after another; the power iteration holds a whole batch in order.
    one_by_one = settings.optimizer == "adamw" and (settings.orthogonal or settings.orthogonal_effects)
    yield from in_batches(job, 1 if one_by_one else settings.batch, lambda first, draws: optimisation(job, first, draws))


class _OnSphere(Batch):
    """Vectors of norm R, orthogonal to those before them where that is asked for."""

    def __init__(self, job: Job, first: int, draws: Tensor) -> None:
        settings: Settings = job.settings
        super().__init__(first, settings.step_count)
        assert job.radius is not None
        self.problem, self.radius = job.problem, job.radius
        self.basis = Basis(job.earlier) if settings.orthogonal else None
        self.effects = Effects(job.problem, job.earlier) if settings.orthogonal_effects else None
        self.theta = self.on_sphere(draws)
        self.losses = draws.new_full((len(draws), self.steps), torch.nan)

    def on_sphere(self, rows: Tensor) -> Tensor:
        return self.radius * unit(rows if self.basis is None else self.basis.in_order(rows))

    def value_and_gradient(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The objective [prompts, n] and its gradient [n, d_model]."""
        if self.effects is None:
            return self.problem.values_and_gradient(theta)
        return self.problem.differentiate(self.effects.beyond_those_before(), theta)


class _Power(_OnSphere):
    """Damped power iteration. Keeps the best; a step that fell is taken back and tried again, shorter.

    Rows that must stay orthogonal depend on each other, so they are accepted or taken back together.
    """

    state_names = ("theta", "best", "best_gradient", "best_value", "damping", "losses")

    def __init__(self, job: Job, first: int, draws: Tensor) -> None:
        super().__init__(job, first, draws)
        self.together = self.basis is not None or self.effects is not None
        self.best, self.best_gradient = self.theta, torch.zeros_like(self.theta)
        self.best_value = self.theta.new_full((len(self.theta),), -torch.inf)
        self.damping = torch.full_like(self.best_value, _DAMPING)

    def advance(self) -> Step:
        values, gradient = self.value_and_gradient(self.theta)
        value = values.sum(dim=0)
        rose = self._keep_best(value, gradient)
        self.damping = torch.where(rose, self.damping / 1.25, self.damping * 2).clamp(_LEAST_DAMPING, _MOST_DAMPING)
        self.theta = self.on_sphere(self.damping[:, None] * unit(self.best) + unit(self.best_gradient))
        self.losses[:, self.step] = -value
        self.step += 1
        norm = self.best.norm(dim=-1)
        return Step(self.first, self.step - 1, self.steps, self.best_value, gradient.norm(dim=-1), norm)

    def found(self) -> Found:
        # Where the last step led is not known yet.
        objective = self.effects.beyond_those_before() if self.effects is not None else None
        values = self.problem.values(self.theta) if objective is None else self.problem.measured(objective, self.theta)
        self._keep_best(values.sum(dim=0), self.best_gradient)
        return Found(self.first, self.best, self.best_value, self.losses)

    def _keep_best(self, value: Tensor, gradient: Tensor) -> Tensor:
        """Keeps theta's rows whose objective rose; returns which did."""
        if self.together:
            rose = (value.nanmean() > self.best_value.nanmean()).expand_as(value) & value.isfinite()
        else:
            rose = value > self.best_value
        self.best = torch.where(rose[:, None], self.theta, self.best)
        self.best_gradient = torch.where(rose[:, None], gradient, self.best_gradient)
        self.best_value = torch.where(rose, value, self.best_value)
        return rose


class _AdamW(_OnSphere):
    """The published loop. Its loss is logged before each step, with several prompts the last one's alone, as it does."""

    state_names = ("theta", "losses")

    def __init__(self, job: Job, first: int, draws: Tensor) -> None:
        super().__init__(job, first, draws)
        self.optimizer = torch.optim.AdamW(
            [self.theta.requires_grad_()],
            lr=job.settings.learning_rate,
            betas=(0.9, 0.98),
            weight_decay=0.0,
            amsgrad=True,
        )

    def advance(self) -> Step:
        theta = self.theta.detach()
        values, gradient = self.value_and_gradient(theta)
        self.losses[:, self.step] = -values[-1]
        if self.basis is not None:
            gradient = self.basis.off(gradient)
        direction = unit(theta)
        self.theta.grad = -(gradient - (gradient * direction).sum(dim=-1, keepdim=True) * direction)
        assert self.optimizer is not None
        self.optimizer.step()
        with torch.no_grad():
            self.theta.copy_(self.on_sphere(self.theta))
        self.step += 1
        norm = self.theta.detach().norm(dim=-1)
        return Step(self.first, self.step - 1, self.steps, values.sum(dim=0), gradient.norm(dim=-1), norm)

    def found(self) -> Found:
        vectors = self.theta.detach().clone()
        return Found(self.first, vectors, self.problem.values(vectors).sum(dim=0), self.losses)
