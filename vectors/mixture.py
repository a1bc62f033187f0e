"""Arithmetic on steering vectors: weighted sums, negation, averages, rescaling, projection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
else:
    from vectors import deferred_numpy as np


def check_compatible(vectors: Sequence[SteeringVector]) -> None:
    """Raises VectorError unless all act on the same block of models of one width, and of one model where that is known."""
    if not vectors:
        raise VectorError("nothing to combine: pick at least one vector")
    first = vectors[0]
    for other in vectors[1:]:
        if other.d_model != first.d_model:
            raise VectorError(
                f"{_called(first)} has width {first.d_model} and {_called(other)} {other.d_model}: "
                "only vectors of one model can be combined"
            )
        if other.block != first.block:
            raise VectorError(
                f"{_called(first)} acts on block {first.block} and {_called(other)} on block {other.block}: "
                "steer with both at once instead of combining them"
            )
        prints = {first.origin.model.fingerprint, other.origin.model.fingerprint} - {""}
        if len(prints) > 1:
            raise VectorError(f"{_called(first)} and {_called(other)} come from different models")


def weighted_sum(terms: Sequence[tuple[SteeringVector, float]]) -> SteeringVector:
    """sum of coefficient x vector over `terms`, as a vector whose name and settings are its recipe."""
    vectors = [vector for vector, _ in terms]
    check_compatible(vectors)
    if not all(np.isfinite(coefficient) for _, coefficient in terms):
        raise VectorError("a coefficient must be a finite number")
    direction = sum(np.float64(c) * v.direction.astype(np.float64) for v, c in terms)
    recipe = [{"id": v.id, "name": v.name, "coefficient": float(c)} for v, c in terms]
    first = vectors[0].origin
    origin = replace(
        first,
        method="mixture",
        settings={"recipe": recipe},
        seed=None,
        radius=None,
        loss=None,
        parents=tuple(v.id for v in vectors),
        created=time.time(),
    )
    name = " ".join(_written(v, c, leading=i == 0) for i, (v, c) in enumerate(terms))
    return SteeringVector(np.asarray(direction, dtype=np.float32), vectors[0].block, origin, name)


def average(vectors: Sequence[SteeringVector]) -> SteeringVector:
    """The mean of `vectors`; its norm is smaller than theirs the more they differ (see `rescaled`)."""
    check_compatible(vectors)
    mean = weighted_sum([(v, 1.0 / len(vectors)) for v in vectors])
    return mean.renamed("avg(" + ", ".join(v.name or "?" for v in vectors) + ")")


def rescaled(vector: SteeringVector, norm: float) -> SteeringVector:
    """`vector` with Euclidean norm `norm`. Raises VectorError for the zero vector, which has no direction."""
    if not vector.norm:
        raise VectorError(f"{_called(vector)} is zero and cannot be rescaled")
    return (vector * (norm / vector.norm)).renamed(f"{vector.name} at {norm:g}")


def projected_off(vector: SteeringVector, others: Sequence[SteeringVector]) -> SteeringVector:
    """`vector` without its component in the span of `others`. Raises VectorError where it lies in that span."""
    check_compatible([vector, *others])
    basis, _ = np.linalg.qr(np.stack([o.direction.astype(np.float64) for o in others], axis=1))
    direction = vector.direction.astype(np.float64)
    for _ in range(2):  # a second pass removes what the first one's rounding left
        direction = direction - basis @ (basis.T @ direction)
    if np.linalg.norm(direction) < 1e-5 * vector.norm:
        raise VectorError(f"{_called(vector)} is a mixture of what it is projected off: nothing but rounding is left of it")
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


def _called(vector: SteeringVector) -> str:
    return vector.name or vector.id or "a vector"


def _written(vector: SteeringVector, coefficient: float, leading: bool) -> str:
    sign = "-" if coefficient < 0 else ("" if leading else "+")
    size = abs(coefficient)
    return f"{sign}{'' if leading or not sign else ' '}{'' if size == 1 else f'{size:g} '}{_called(vector)}".strip()
