"""The atlas of power steering: the top singular values of the Jacobian between every two of a model's blocks.

The prompts run through the model once; each pair of blocks is a part of that one replay. Along a source, the directions
of one target are a good start for the next, so most pairs need a few iterations only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.discovery.objective import Objective, Problem
from core.discovery.power_steering import SPARE, improved, singular
from core.discovery.projections import orthonormal
from core.segment.segment import Segment

_SETTLED = 0.003  # a pair is done when no value has changed by more than this share in an iteration

Pair = tuple[int, int]


@dataclass(frozen=True)
class Cell:
    """`values` [top], falling, of the Jacobian from block `source` to block `target`; `directions` [top + spare, d_model]."""

    source: int
    target: int
    values: Tensor
    directions: Tensor


def pairs(blocks: int, every: int = 1) -> list[Pair]:
    """The (source, target) pairs of a model, by source."""
    chosen = range(0, blocks, every)
    return [(source, target) for source in chosen for target in chosen if target > source]


def cells(
    segments: Sequence[Segment],
    objective: Objective,
    todo: Sequence[Pair],
    top: int,
    steps: int,
    seed: int = 0,
    before: tuple[int, Tensor] | None = None,
    on_shrink: Callable[[int], None] = lambda rows: None,
) -> Iterator[Cell | None]:
    """A Cell for each pair of `todo`, and None after each iteration on the way.

    `segments`, one a prompt, reach over all of them. `before` is the source and the directions of the pair before the first.
    """
    segments = [segment.in_float32() for segment in segments]
    width = segments[0].base.shape[-1]
    rows = min(top + SPARE, width)
    most_rows = rows
    for source, target in todo:
        if before is None or before[0] != source:
            drawn = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed * 1000 + source))
            before = source, orthonormal(drawn.to(segments[0].base.device))
        problem = Problem([segment.part(source, target) for segment in segments], objective, most_rows, on_shrink)
        directions, last = before[1], torch.zeros(())
        for _ in range(steps):
            directions, values, _ = improved(problem, directions)
            change = (values[:top] - last).abs() / values[:top].clamp_min(1e-30)
            last = values[:top]
            yield None
            if float(change.max()) < _SETTLED:
                break
        directions, values = singular(problem, directions)
        most_rows = problem.most_rows
        before = source, directions
        yield Cell(source, target, values[:top], directions)
