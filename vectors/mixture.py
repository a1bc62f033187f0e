"""Arithmetic on steering vectors: averages, rescaling, projection, joining over blocks (sums: vectors/vector.py)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from vectors.block_ranges import ranges
from vectors.vector import SteeringVector, VectorError, called, check_compatible, check_one_model, weighted_sum

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
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
    blocks, (direction, *spanning) = flattened([vector, *others])
    basis, _ = np.linalg.qr(np.stack(spanning, axis=1))
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
    rows = direction.astype(np.float32).reshape(len(blocks), -1)
    return SteeringVector(rows, blocks, origin, f"{vector.name} off {len(others)}")


def flattened(vectors: Sequence[SteeringVector]) -> tuple[tuple[int, ...], npt.NDArray[np.float64]]:
    """The blocks that any of `vectors` has, rising, and their directions there side by side, [n, blocks x d_model] float64.

    A direction that one has not is zero.
    """
    blocks = tuple(sorted({block for vector in vectors for block in vector.blocks}))
    rows = np.zeros((len(vectors), len(blocks), vectors[0].d_model))
    for i, vector in enumerate(vectors):
        rows[i, [blocks.index(block) for block in vector.blocks]] = vector.directions
    return blocks, rows.reshape(len(vectors), -1)


def joined(vectors: Sequence[SteeringVector], name: str = "") -> SteeringVector:
    """One vector over the blocks of all `vectors`, with their directions as they are.

    Raises VectorError where two have the same block, or they are of different models.
    """
    check_one_model(vectors)
    if len(vectors) < 2:
        raise VectorError("there is nothing to join: pick vectors of different blocks")
    at: dict[int, SteeringVector] = {}
    for vector in vectors:
        for block in vector.blocks:
            if block in at:
                raise VectorError(
                    f"{called(at[block])} and {called(vector)} both act on block {block}, where a vector has one direction: "
                    "leave one out, or mix the two first"
                )
            at[block] = vector
    parts = [{"id": v.id, "name": v.name, "blocks": ranges(v.blocks)} for v in vectors]
    first = min(vectors, key=lambda vector: vector.block)
    origin = replace(
        first.origin,
        method="joined",
        target=None,
        settings={"joined": parts},
        seed=None,
        radius=None,
        loss=None,
        parents=tuple(v.id for v in vectors),
        created=time.time(),
    )
    return SteeringVector.over_blocks({block: vector.at(block) for block, vector in at.items()}, origin, name)


def orthogonalised(vectors: Sequence[SteeringVector]) -> list[SteeringVector]:
    """Each of `vectors` without its component in the span of those before it; the first stays as it is (Gram-Schmidt).

    Raises VectorError where one lies in that span.
    """
    return [projected_off(vector, vectors[:i]) if i else vector for i, vector in enumerate(vectors)]
