"""A family's L-BFGS: vectors enter one after another, and each is a few steps behind the one before it.

All that are under way step together, as one batch, and are projected in order. Were they to start together too, each
would chase a minimum that the rows before it are just taking; so the rows before have nearly settled when one needs
to, and it ends where it would have ended alone behind them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from core.discovery.base_effect_loss import BaseEffectLoss
from core.discovery.lbfgs import LBFGS
from core.discovery.optimisation import Found, Job, Optimisation, Step, fitting
from core.discovery.projections import Basis, unit
from core.errors import SettingsError

if TYPE_CHECKING:
    from core.discovery.declarations.ortho import Settings

_MEMORY = "memory."
# A finished vector is handed over at once; when there are many, some at a time, because a run's file is written whole.
_HANDED_SHARE = 1 / 16


class Staggered(Optimisation):
    """The family from row `job.done` on: as many rows under way as the settings' `batch`, each for `steps` steps.

    `theta` [n, d_model] are the rows under way, oldest first, `at` [n] their steps so far, `losses` [n, steps] on the way;
    `ready`, `ready_shares` and `ready_losses` are of rows that have ended and were not handed over yet. `clock` counts steps
    since draw `begun` entered.
    """

    rows_vary = True
    state_names = ("theta", "at", "losses", "ready", "ready_shares", "ready_losses", "clock", "begun")

    def __init__(self, job: Job, base_effect: BaseEffectLoss) -> None:
        self.job, self.base_effect = job, base_effect
        self.settings: Settings = job.settings
        self.first, self.steps = job.done, self.settings.step_count
        self.least_norm = self.settings.least_norm * base_effect.base_norm
        self.trust = 0.3 * base_effect.base_norm
        # One by one, as they will be added, so that a resumed run rounds as an uninterrupted one does.
        self.basis = Basis(base_effect.direction)
        for row in job.earlier:
            self.basis.extend(row[None])
        nothing = job.draws[:0]
        self.theta, self.ready = nothing, nothing
        self.losses = self.ready_losses = nothing.new_zeros(0, self.steps)
        self.ready_shares = nothing.new_zeros(0)
        self.at = torch.zeros(0, dtype=torch.long)
        self.clock = torch.zeros((), dtype=torch.long)
        self.begun = torch.tensor(job.done)
        self.memory = LBFGS(nothing, self.trust)

    @property
    def over(self) -> bool:
        return self.first + len(self.ready) == len(self.job.draws)

    def advance(self) -> Step:
        self._let_in()
        look = self.base_effect.look(self.theta, self.settings.penalty)
        gradient = self.basis.off(look.gradient)
        norm, shares = self.theta.norm(dim=-1), self.base_effect.matched(look.loss)
        first = self.first + len(self.ready)
        step = Step(first, 0, self.steps, shares, gradient.norm(dim=-1), norm, tuple(self.at.tolist()))
        self.losses[torch.arange(len(self.at)), self.at] = look.loss
        self.theta = self._projected(self.memory.step(self.theta, look.penalised, gradient))
        self.at = self.at + 1
        self.clock += 1
        while len(self.at) and int(self.at[0]) == self.steps:
            self._let_out()
        return step

    def finished(self) -> Found | None:
        """Rows that have ended, enough of them to be worth handing over."""
        enough = min(max(1, int(_HANDED_SHARE * self.first)), self.settings.batch)
        if len(self.ready) < enough and not (self.over and len(self.ready)):
            return None
        found = Found(self.first, self.ready, self.ready_shares, self.ready_losses)
        self.first += len(self.ready)
        self.ready, self.ready_shares, self.ready_losses = self.ready[:0], self.ready_shares[:0], self.ready_losses[:0]
        return found

    def state(self) -> dict[str, Tensor]:
        return super().state() | {_MEMORY + name: getattr(self.memory, name).cpu() for name in LBFGS.state_names}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        for name in LBFGS.state_names:
            kept = fitting(state, _MEMORY + name, getattr(self.memory, name), self.rows_vary)
            setattr(self.memory, name, kept.to(self.theta.device))
        remembered = [getattr(self.memory, name) for name in LBFGS.state_names]
        trained = {len(rows) for rows in (self.theta, self.at, self.losses, *remembered)}
        ready = {len(rows) for rows in (self.ready, self.ready_shares, self.ready_losses)}
        inside = not len(self.at) or 0 <= int(self.at.min()) <= int(self.at.max()) < self.steps
        if len(trained) > 1 or len(ready) > 1 or not inside:
            raise SettingsError("the interrupted run's state does not fit it", "start it anew")
        for row in self.ready:
            self.basis.extend(row[None])

    def _let_in(self) -> None:
        """The next draws enter, one whenever a batch-th of the steps has passed."""
        while (entered := self.first + len(self.ready) + len(self.at)) < len(self.job.draws):
            if (entered - int(self.begun)) * self.steps > int(self.clock) * self.settings.batch:
                return
            row = self._started(self._projected(torch.cat([self.theta, self.job.draws[entered][None]]))[-1:])
            self.theta = torch.cat([self.theta, row])
            self.memory.join(LBFGS(row, self.trust))
            self.at = torch.cat([self.at, torch.zeros(1, dtype=torch.long)])
            self.losses = torch.cat([self.losses, row.new_full((1, self.steps), torch.nan)])

    def _started(self, row: Tensor) -> Tensor:
        """Where a row begins: along its draw, as far out as the last vector ended, for it will end about there too."""
        if self.settings.start_norm is None:
            return row
        ended = (self.ready if len(self.ready) else self.job.earlier)[-1:].norm(dim=-1, keepdim=True)
        first = ended.new_full((1, 1), self.settings.start_norm)
        return self._held((torch.where(ended > 0, ended, first) if len(ended) else first) * unit(row))

    def _let_out(self) -> None:
        """The oldest row ends: where the last step led is not known yet, and if it was too far, it goes back."""
        ends = torch.cat([self.theta[:1], self._projected(self.memory.best[:1])])
        halves = self.job.problem.measured(self.base_effect.loss(squared=True), ends)
        penalised = self.base_effect.penalised(halves, ends, self.settings.penalty)
        best = int(penalised[1] < penalised[0])
        vector, loss = ends[best][None], (2 * halves[:, best]).sqrt().sum()[None]
        if float(vector.norm()) < self.least_norm:  # what is left is no vector any more, and is told so
            vector, loss = torch.zeros_like(vector), self.base_effect.size[None]
        self.basis.extend(vector)
        self.ready = torch.cat([self.ready, vector])
        self.ready_shares = torch.cat([self.ready_shares, self.base_effect.matched(loss)])
        self.ready_losses = torch.cat([self.ready_losses, self.losses[:1]])
        self.memory.leave(1)
        self.theta, self.at, self.losses = self.theta[1:], self.at[1:], self.losses[1:]
        self.theta = self._projected(self.theta)

    def _projected(self, rows: Tensor) -> Tensor:
        return self._held(self.basis.in_order(rows))

    def _held(self, rows: Tensor) -> Tensor:
        """`rows` at the fixed norm, where there is one."""
        return rows if self.settings.norm is None else self.settings.norm * unit(rows)
