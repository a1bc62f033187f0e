"""Random vectors of the same norm, at the same block: the control beside every finding."""

from __future__ import annotations

from dataclasses import replace

import torch

from core.discovery.projections import unit
from vectors.vector import Origin, SteeringVector

_SEED_OF_CONTROLS = 1_000_003  # away from the seeds that runs start from


def controls(count: int, norm: float, block: int, seed: int, origin: Origin) -> list[SteeringVector]:
    """`count` random vectors of norm `norm` for the output of `block`, as `origin` says of what they stand beside."""
    generator = torch.Generator().manual_seed(seed + _SEED_OF_CONTROLS)
    draws = norm * unit(torch.randn(count, origin.model.d_model, generator=generator))
    origin = replace(origin, method="random")
    return [SteeringVector(draw.numpy(), block, origin, f"random {i + 1}") for i, draw in enumerate(draws)]
