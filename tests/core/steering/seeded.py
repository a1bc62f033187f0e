"""A prompt's ids and vectors by their seed, for the tests of steering."""

from __future__ import annotations

import numpy as np

from core.model.language_model import LanguageModel
from vectors.vector import Origin, SteeringVector

IDS = (5, 9, 17, 33, 65)


def seeded_vector(model: LanguageModel, block: int = 2, seed: int = 0, size: float = 4.0) -> SteeringVector:
    direction = np.random.default_rng(seed).normal(size=model.d_model)
    direction *= size / np.linalg.norm(direction)
    return SteeringVector(direction.astype(np.float32), block, Origin("test", model.stamp, block), f"v{seed}")
