"""Orthogonality of effects: vectors whose changes at the target block are orthogonal, not the vectors themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from core.discovery.objective import Measure, Problem
from core.discovery.projections import Basis


class Effects:
    """The effects at the target of the vectors found before, one basis a prompt."""

    def __init__(self, problem: Problem, earlier: Tensor) -> None:
        self._objective = problem.objective
        earlier = earlier[earlier.any(dim=-1)]
        self._bases = [Basis(change.flatten(1)) for change in problem.changes(earlier)] if len(earlier) else None

    def beyond_those_before(self) -> Measure:
        """The objective of that part of each row's effect that is orthogonal to the effects of all rows before it.

        A measure for one pass over the rows, in order. The earlier effects are held fixed while a row is trained.
        """
        seen: dict[int, list[Tensor]] = {}

        def measure(change: Tensor, prompt: int, rows: slice) -> Tensor:
            before = seen.setdefault(prompt, [])
            del before[rows.start :]  # of a trial for which memory was too small
            flat = change.flatten(1)
            left = []
            for row in flat:
                off = row if self._bases is None else row - self._within_earlier(prompt, row)
                for _ in range(2):
                    for direction in before:
                        off = off - (off @ direction) * direction
                left.append(off)
                norm = off.detach().norm()
                before.append(torch.where(norm > 0, off.detach() / norm.clamp_min(1e-30), off.detach()))
            return self._objective(torch.stack(left).view_as(change))

        return measure

    def _within_earlier(self, prompt: int, row: Tensor) -> Tensor:
        """The component of `row` in the span of the earlier effects; linear in `row`."""
        assert self._bases is not None
        rows = self._bases[prompt].rows.to(row)
        return (rows @ row) @ rows
