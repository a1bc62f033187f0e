"""MELBO-ortho (Goldman-Wetzler, "I found >800 orthogonal 'write code' steering vectors", 2024).

From a base vector, a family: each vector is orthogonal to the base and to all before it, and is trained to make the same
change at the target as the base does. Nothing holds its norm; along a family the norms rise and then fall to zero, and
there it ends. Two optimisers:

- `lbfgs`: `batch` vectors under way at once, each a few steps behind the one before it and projected in order after every
  step (core/discovery/staggered_lbfgs.py).
- `adam`: with `batch` 1 the published loop, one vector after another, hundreds of steps.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery.base_effect_loss import BaseEffectLoss
from core.discovery.declarations.ortho import Settings
from core.discovery.optimisation import Batch, Ended, Event, Found, Job, Step, in_batches
from core.discovery.projections import Basis, unit
from core.discovery.staggered_lbfgs import Staggered
from core.errors import SettingsError


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
    base_effect = BaseEffectLoss(job.problem, job.base.to(job.draws), settings.match)
    if float(base_effect.size) < 1e-6:
        raise SettingsError("the base vector changes nothing at the target on this prompt", "choose another base or prompt")
    latest = job.earlier[-settings.batch :] if job.done else job.draws[:0]
    shares = base_effect.matched(base_effect.losses(latest)) if len(latest) else job.draws[:0, 0]
    if settings.optimizer == "lbfgs":
        events = job.run(Staggered(job, base_effect))
    else:
        events = in_batches(job, settings.batch, lambda first, draws: _Adam(job, base_effect, first, draws))
    # A run that is taken up again may have been cut off at its very end.
    while not (reason := _end(shares, latest, base_effect, settings)):
        event = next(events, None)
        if event is None:
            return
        yield event
        if isinstance(event, Found):
            latest = job.earlier[-settings.batch :]
            shares = torch.cat([shares, event.objective.nan_to_num(0.0)])[-settings.batch :]
    events.close()
    job.live = None
    yield Ended(reason)


class _Adam(Batch):
    """The published loop: Adam on theta without a norm constraint, the loss logged before each step."""

    state_names = ("theta", "losses")

    def __init__(self, job: Job, base_effect: BaseEffectLoss, first: int, draws: Tensor) -> None:
        settings: Settings = job.settings
        super().__init__(first, settings.step_count)
        self.problem, self.base_effect, self.settings = job.problem, base_effect, settings
        self.basis = Basis(torch.cat([base_effect.direction, job.earlier]))
        # The published loop projects after its steps only: its first loss is that of the raw draw.
        self.theta = (draws if settings.start_norm is None else settings.start_norm * unit(draws)).clone()
        self.losses = draws.new_full((len(draws), self.steps), torch.nan)
        self.optimizer = torch.optim.Adam([self.theta.requires_grad_()], lr=settings.learning_rate)

    def advance(self) -> Step:
        theta = self.theta.detach()
        if self.settings.penalty:
            look = self.base_effect.look(theta, self.settings.penalty)
            loss, gradient = look.loss, look.gradient
        else:
            losses, gradient = self.problem.differentiate(self.base_effect.loss(), theta, f"loss {id(self.base_effect)}")
            loss = losses.sum(dim=0)
        self.theta.grad = gradient
        assert self.optimizer is not None
        self.optimizer.step()
        with torch.no_grad():
            rows = self.basis.in_order(self.theta)
            self.theta.copy_(rows if self.settings.norm is None else self.settings.norm * unit(rows))
        self.losses[:, self.step] = loss
        self.step += 1
        norm = self.theta.detach().norm(dim=-1)
        return Step(self.first, self.step - 1, self.steps, self.base_effect.matched(loss), gradient.norm(dim=-1), norm)

    def found(self) -> Found:
        vectors = self.theta.detach().clone()
        return Found(self.first, vectors, self.base_effect.matched(self.base_effect.losses(vectors)), self.losses)


def _end(shares: Tensor, vectors: Tensor, base_effect: BaseEffectLoss, settings: Settings) -> str:
    """Why the family has ended with these last `batch` vectors; empty where it has not, or there are not so many yet."""
    if len(vectors) < settings.batch:
        return ""
    matched, norms = shares.mean(), vectors.norm(dim=-1).mean()
    if float(norms) < settings.least_norm * base_effect.base_norm:
        return f"the norms have fallen to {float(norms):.2g}, the base's is {base_effect.base_norm:.3g}: the family has ended"
    if float(matched) < settings.least_match:
        return f"the last {len(vectors)} do only {float(matched):.0%} of what the base does: the family has ended"
    return ""
