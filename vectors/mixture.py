"""Arithmetic on steering vectors: weighted sums, negation, averages, rescaling, projection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vectors.vector import SteeringVector, VectorError, called, check_compatible, weighted_sum

if TYPE_CHECKING:
    import numpy as np
else:
    from vectors import deferred_numpy as np


def average(vectors: Sequence[SteeringVector]) -> SteeringVector:
    """The mean of `vectors`; its norm is smaller than theirs the more they differ (see `rescaled`)."""
    check_compatible(vectors)
    mean = weighted_sum([(v, 1.0 / len(vectors)) for v in vectors])
    return mean.renamed("avg(" + ", ".join(v.name or "?" for v in vectors) + ")")


def rescaled(vector: SteeringVector, norm: float) -> SteeringVector:
    """`vector` with Euclidean norm `norm`. Raises VectorError for the zero vector, which has no direction."""
    if not vector.norm:
        raise VectorError(f"{called(vector)} is zero and cannot be rescaled")
    return (vector * (norm / vector.norm)).renamed(f"{vector.name} at {norm:g}")


def projected_off(vector: SteeringVector, others: Sequence[SteeringVector]) -> SteeringVector:
    """`vector` without its component in the span of `others`. Raises VectorError where it lies in that span."""
    check_compatible([vector, *others])
    basis, _ = np.linalg.qr(np.stack([o.direction.astype(np.float64) for o in others], axis=1))
    direction = vector.direction.astype(np.float64)
    for _ in range(2):  # a second pass removes what the first one's rounding left
        direction = direction - basis @ (basis.T @ direction)
    if np.linalg.norm(direction) < 1e-5 * vector.norm:
        raise VectorError(f"{called(vector)} lies in the span of what it is projected off: only rounding would be left")
    recipe = [{"id": o.id, "name": o.name} for o in others]
    origin = replace(
        vector.origin,
        method="mixture",
        settings={"projected off": recipe},
        parents=(vector.id, *(o.id for o in others)),
        created=time.time(),
    )
    return SteeringVector(direction.astype(np.float32), vector.block, origin, f"{vector.name} off {len(others)}")


def orthogonalised(vectors: Sequence[SteeringVector]) -> list[SteeringVector]:
    """Each of `vectors` without its component in the span of those before it; the first stays as it is (Gram-Schmidt).

    Raises VectorError where one lies in that span.
    """
    return [projected_off(vector, vectors[:i]) if i else vector for i, vector in enumerate(vectors)]
