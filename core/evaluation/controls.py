"""Random vectors of the same norm that act in the same way, at the same blocks: the control beside every finding."""

from __future__ import annotations

import statistics
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import count

import torch

from core.discovery.projections import unit
from core.evaluation.condition import RANDOM, Condition
from core.evaluation.parts import Part
from core.steering.terms import SteerTerm
from vectors.vector import ModelStamp, Origin, SteeringVector

_SEED_OF_CONTROLS = 1_000_003  # away from the seeds that runs start from
_NEXT_SEED = 7919  # of a control's second vector, and its third ...


def controls(conditions: Sequence[Condition], n: int, seed: int, model: ModelStamp) -> list[Condition]:
    """`n` random conditions for each way of acting that `conditions` have, at the median norm of those that act so.

    A way is: which blocks, operation, tokens and gate, and the coefficient where nothing of a norm is added.
    """
    ways: dict[Hashable, list[Condition]] = {}
    for condition in conditions:
        ways.setdefault(tuple(part.kind for part in condition.parts), []).append(condition)
    found = []
    for alike in sorted(ways.values(), key=lambda some: some[0].block or 0):
        seeds = count(seed, _NEXT_SEED)
        drawn = [_drawn(part, [one.parts[i].norms for one in alike], n, seeds, model) for i, part in enumerate(alike[0].parts)]
        place = _place(alike[0]) if len(ways) > 1 else ""
        found += [
            Condition(f"{RANDOM} {row + 1}{place}", tuple(terms[row] for terms in drawn), random=True) for row in range(n)
        ]
    return found


def _drawn(part: Part, norms: Sequence[tuple[float, ...]], n: int, seeds: Iterator[int], model: ModelStamp) -> list[SteerTerm]:
    """`n` terms that do what `part` does with random vectors, at each block of the median of `norms` [conditions, blocks]."""
    origin = Origin(RANDOM, model, part.own[0])
    medians = [statistics.median(those) for those in zip(*norms, strict=True)]
    rows = {block: random_vectors(n, norm, block, next(seeds), origin) for block, norm in zip(part.own, medians, strict=True)}
    return [
        part.control(SteeringVector.over_blocks({block: some[row].direction for block, some in rows.items()}, origin))
        for row in range(n)
    ]


def random_vectors(count: int, norm: float, block: int, seed: int, origin: Origin) -> list[SteeringVector]:
    """`count` random vectors of norm `norm` for the output of `block`, as `origin` says of what they stand beside."""
    generator = torch.Generator().manual_seed(seed + _SEED_OF_CONTROLS)
    draws = norm * unit(torch.randn(count, origin.model.d_model, generator=generator))
    origin = replace(origin, method=RANDOM)
    return [SteeringVector(draw.numpy(), block, origin, f"{RANDOM} {i + 1}") for i, draw in enumerate(draws)]


def _place(condition: Condition) -> str:
    """What tells the controls of `condition` from those of others."""
    parts = condition.parts
    return f" block {condition.block}" if len(parts) == 1 and _is_plain(parts[0]) else f" for {condition.name}"


def _is_plain(part: Part) -> bool:
    """Whether a vector is just added, at its one block, on all tokens."""
    first = part.terms[0]
    return len(part.own) == 1 and replace(first, coefficient=1.0) == SteerTerm(first.vector)
