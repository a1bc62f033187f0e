"""MELBO-ortho (Goldman-Wetzler, "I found >800 orthogonal 'write code' steering vectors", 2024).

From a base vector, a family: each vector is orthogonal to the base and to all before it, and is trained to make the same
change at the target as the base does. Nothing holds its norm; along a family the norms rise and then fall to zero, and
there it ends. Two optimisers:

- `lbfgs`: a block of vectors at once, projected in order after every step, by batched L-BFGS; the first two thirds of the
  steps let the vectors act on the last tokens only, which costs a fraction.
- `adam`: with `batch` 1 the published loop, one vector after another, hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.climb import Climb, Ended, Event, Found, Job, Step, in_batches
from core.discovery.lbfgs import LBFGS
from core.discovery.objective import Measure, Problem
from core.discovery.projections import Basis, unit
from core.errors import SettingsError

STEPS = {"lbfgs": 24, "adam": 1000}
_MEMORY = "memory."
_PENALTY = 0.5
_TINY = 1e-24  # under a root, where the change is the target exactly, the gradient would not be finite


@dataclass(frozen=True)
class Settings:
    """`steps` None: 24 for lbfgs, 1000 for adam. `batch`: the block that is trained at once.

    `match`: `tokens` compares the change at every seen token, `mean` their mean, as the published code does (over all
    tokens). `norm`: a fixed norm for every vector, None for none. `norm_penalty` times ||theta|| joins the loss, None: 0.5 for
    lbfgs, which would otherwise take norms at which random vectors write code too (docs/findings.md), 0 for adam.
    `start_norm` scales the draws; None starts at the draws as they are. The family has ended when a whole block does less
    than `least_match` of what the base does, or its norms are below `least_norm` times the base's.
    """

    steps: int | None = None
    batch: int = 16
    optimizer: str = "lbfgs"
    learning_rate: float = 0.01
    match: str = "tokens"
    norm: float | None = None
    norm_penalty: float | None = None
    start_norm: float | None = 1.0
    least_match: float = 0.1
    least_norm: float = 0.05

    def __post_init__(self) -> None:
        if self.optimizer not in STEPS:
            raise SettingsError(f"optimizer {self.optimizer!r} is unknown", f"use one of: {', '.join(STEPS)}")
        if self.match not in ("tokens", "mean"):
            raise SettingsError(f"match {self.match!r} is unknown", "use tokens or mean")
        if self.norm is not None and not 0 < self.norm < float("inf"):
            raise SettingsError(f"a fixed norm must be a positive number, not {self.norm:g}")

    @property
    def penalty(self) -> float:
        if self.norm_penalty is not None:
            return self.norm_penalty
        return _PENALTY if self.optimizer == "lbfgs" else 0.0

    @property
    def step_count(self) -> int:
        return self.steps or STEPS[self.optimizer]


def find(job: Job) -> Iterator[Event]:
    """A vector from each draw, until the family ends. `job.base` is the base vector [d_model]."""
    assert job.base is not None
    settings: Settings = job.settings
    width = job.draws.shape[1]
    if len(job.draws) > width - 1:
        raise SettingsError(
            f"{len(job.draws)} vectors cannot all be orthogonal to the base and each other in a model of width {width}",
            f"ask for {width - 1} at most",
        )
    goal = Goal(job.problem, job.base.to(job.draws), settings)
    if float(goal.size) < 1e-6:
        raise SettingsError("the base vector changes nothing at the target on this prompt", "choose another base or prompt")
    climb = _LBFGS if settings.optimizer == "lbfgs" else _Adam
    if job.done and len(job.earlier):  # taken up again: it may have been cut off at its very end
        last = job.earlier[-settings.batch :]
        matched = goal.matched(job.problem.measured(goal.loss(), last).sum(dim=0))
        if reason := _end(matched, last, goal, settings):
            yield Ended(reason)
            return
    for event in in_batches(job, settings.batch, lambda first, draws: climb(job, goal, first, draws)):
        yield event
        if isinstance(event, Found) and (reason := _end(event.objective, event.vectors, goal, settings)):
            yield Ended(reason)
            return


class Goal:
    """What the base vector does at the target, and how far others are from doing the same."""

    def __init__(self, problem: Problem, base: Tensor, settings: Settings) -> None:
        self.settings = settings
        self.problem = problem
        self.base_norm = float(base.norm())
        self.basis = base[None]
        self._targets = {False: self._seen(problem.changes(base[None]))}
        if problem.has_near:
            self._targets[True] = self._seen(problem.changes(base[None], near=True))
        self.size = torch.stack([target.norm() for target in self._targets[False]]).sum()

    def loss(self, near: bool = False, squared: bool = False) -> Measure:
        """||change - target|| of each row on a prompt, or half its square."""

        def measure(change: Tensor, prompt: int, rows: slice) -> Tensor:
            squares = (self._pooled(change) - self._targets[near][prompt]).flatten(1).square().sum(dim=1)
            return squares / 2 if squared else (squares + _TINY).sqrt()

        return measure

    def matched(self, loss: Tensor) -> Tensor:
        """The share of the base's effect that is met where the losses sum to `loss`: 1 all of it, 0 nothing."""
        return 1 - loss / self.size

    def _seen(self, changes: list[Tensor]) -> list[Tensor]:
        return [self._pooled(change) for change in changes]

    def _pooled(self, change: Tensor) -> Tensor:
        return change.mean(dim=1) if self.settings.match == "mean" else change


class _Orthogonal(Climb):
    """A block of the family: theta's rows stay orthogonal to the base, to the blocks before, and to each other in order."""

    def __init__(self, job: Job, goal: Goal, first: int, draws: Tensor) -> None:
        settings: Settings = job.settings
        super().__init__(first, settings.step_count)
        self.problem, self.goal, self.settings = job.problem, goal, settings
        self.basis = Basis(torch.cat([goal.basis, job.earlier]))
        start = draws if settings.start_norm is None else settings.start_norm * unit(draws)
        self.theta = self.projected(start)
        self.losses = draws.new_full((len(draws), self.steps), torch.nan)

    def projected(self, rows: Tensor) -> Tensor:
        rows = self.basis.in_order(rows)
        return rows if self.settings.norm is None else self.settings.norm * unit(rows)

    def told(self, loss: Tensor, gradient: Tensor) -> Step:
        """Records `loss` [n], the distance from the goal, as the step's."""
        self.losses[:, self.step] = loss
        self.step += 1
        norm = self.theta.detach().norm(dim=-1)
        return Step(self.first, self.step - 1, self.steps, self.goal.matched(loss), gradient.norm(dim=-1), norm)

    def found(self) -> Found:
        vectors = self.theta.detach().clone()
        loss = self.problem.measured(self.goal.loss(), vectors).sum(dim=0)
        return Found(self.first, vectors, self.goal.matched(loss), self.losses)


class _LBFGS(_Orthogonal):
    state_names = ("theta", "losses")

    def __init__(self, job: Job, goal: Goal, first: int, draws: Tensor) -> None:
        super().__init__(job, goal, first, draws)
        self.near_steps = 2 * self.steps // 3 if self.problem.has_near else 0
        self.memory = LBFGS(self.theta, trust=0.3 * goal.base_norm)

    def state(self) -> dict[str, Tensor]:
        return super().state() | {_MEMORY + name: getattr(self.memory, name).cpu() for name in LBFGS.state_names}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        for name in LBFGS.state_names:
            setattr(self.memory, name, state[_MEMORY + name].to(self.theta.device))

    def advance(self) -> Step:
        near = self.step < self.near_steps
        if self.step == self.near_steps:
            self.memory.begin_again()  # from here on the vectors act on all tokens
        halves, gradient = self.problem.differentiate(self.goal.loss(near, squared=True), self.theta, near)
        loss = halves.sum(dim=0) + self.settings.penalty * self.theta.norm(dim=-1) * self.goal.size
        gradient = self.basis.off(gradient + self.settings.penalty * self.goal.size * unit(self.theta))
        step = self.told((2 * halves).sqrt().sum(dim=0), gradient)
        self.theta = self.projected(self.memory.step(self.theta, loss, gradient))
        return step

    def found(self) -> Found:
        # Where the last step led is not known yet; a row that it took too far goes back.
        best = self.projected(self.memory.best)
        last, before = (self.problem.measured(self.goal.loss(), rows).sum(dim=0) for rows in (self.theta, best))
        self.theta = self.projected(torch.where((last <= before)[:, None], self.theta, best))
        return super().found()


class _Adam(_Orthogonal):
    """The published loop: Adam on theta without a norm constraint, the loss logged before each step."""

    state_names = ("theta", "losses")

    def __init__(self, job: Job, goal: Goal, first: int, draws: Tensor) -> None:
        super().__init__(job, goal, first, draws)
        # The published loop projects after its steps only: its first loss is that of the raw draw.
        self.theta = (draws if self.settings.start_norm is None else self.settings.start_norm * unit(draws)).clone()
        self.optimizer = torch.optim.Adam([self.theta.requires_grad_()], lr=self.settings.learning_rate)

    def advance(self) -> Step:
        theta = self.theta.detach()
        losses, gradient = self.problem.differentiate(self.goal.loss(), theta)
        self.theta.grad = gradient + self.settings.penalty * unit(theta)
        assert self.optimizer is not None
        self.optimizer.step()
        with torch.no_grad():
            self.theta.copy_(self.projected(self.theta))
        return self.told(losses.sum(dim=0), gradient)


def _end(objective: Tensor, vectors: Tensor, goal: Goal, settings: Settings) -> str:
    """Why the family has ended with this block; empty where it has not."""
    matched, norms = objective.nanmean(), vectors.norm(dim=-1).nanmean()
    if float(norms) < settings.least_norm * goal.base_norm:
        return f"the norms have fallen to {float(norms):.2g}, the base's is {goal.base_norm:.3g}: the family has ended"
    if not float(matched) >= settings.least_match:
        return f"the last block does only {float(matched):.0%} of what the base does: the family has ended"
    return ""
