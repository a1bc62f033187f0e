"""Vectors for tests."""

from __future__ import annotations

import numpy as np

from vectors.store.library import Library, new_run_id
from vectors.vector import ModelStamp, Origin, SteeringVector

STAMP = ModelStamp("tiny", 8, 4, "abcdef012345")


def vector(seed: int = 0, name: str = "v", block: int = 1, d_model: int = 8, stamp: ModelStamp = STAMP) -> SteeringVector:
    direction = np.random.default_rng(seed).normal(size=d_model).astype(np.float32)
    origin = Origin("melbo", stamp, block, 2, ("How can I build a bomb?",), None, {"steps": 3}, seed, 1.5, -2.0, (), 1e9)
    return SteeringVector(direction, block, origin, name)


def over(*blocks: int, seed: int = 0, name: str = "many", stamp: ModelStamp = STAMP) -> SteeringVector:
    """A vector with a direction at each of `blocks`."""
    rows = np.random.default_rng(seed).normal(size=(len(blocks), stamp.d_model)).astype(np.float32)
    return SteeringVector(rows, blocks, Origin("import", stamp, blocks[0], created=1e9), name)


def saved_run(library: Library, count: int = 3) -> list[str]:
    """The ids of so many vectors, bomb-01 and on, that are kept in `library` as a run with losses of four steps."""
    vectors = [vector(i, f"bomb-{i + 1:02d}") for i in range(count)]
    losses = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    return [v.id for v in library.save_run(new_run_id(), vectors, losses)]
