"""Random directions of norm R: the control beside which every method's findings stand."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from core.discovery.optimisation import Event, Found, Job
from core.discovery.projections import unit


def draws(count: int, d_model: int, seed: int) -> Tensor:
    """Gaussian rows [count, d_model] to start from; a row is the same whatever the count."""
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randn(d_model, generator=generator) for _ in range(count)])


def find(job: Job) -> Iterator[Event]:
    """The draws themselves, scaled to norm `job.radius`, with the objective that each reaches untrained."""
    assert job.radius is not None
    while job.done < len(job.draws):
        first = job.done
        vectors = job.radius * unit(job.draws[first : first + job.settings.batch])
        value = job.problem.values(vectors).sum(dim=0)
        job.done = first + len(vectors)
        yield Found(first, vectors, value, -value[:, None])
