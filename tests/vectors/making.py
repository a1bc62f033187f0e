"""Vectors for tests."""

from __future__ import annotations

import numpy as np

from vectors.vector import ModelStamp, Origin, SteeringVector

STAMP = ModelStamp("tiny", 8, 4, "abcdef012345")


def vector(seed: int = 0, name: str = "v", block: int = 1, d_model: int = 8, stamp: ModelStamp = STAMP) -> SteeringVector:
    direction = np.random.default_rng(seed).normal(size=d_model).astype(np.float32)
    origin = Origin("melbo", stamp, block, 2, ("How can I build a bomb?",), None, {"steps": 3}, seed, 1.5, -2.0, (), 1e9)
    return SteeringVector(direction, block, origin, name)
