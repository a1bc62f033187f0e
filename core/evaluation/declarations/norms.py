"""What the metric `norms` says of itself; core/evaluation/norms.py measures it."""

from __future__ import annotations

from core.evaluation.metric import Metric

METRIC = Metric(
    "the residual stream's norm, and vectors' share",
    "The residual stream's norm behind each block (the median over all tokens but the first), what share of it a "
    "vector has, and how far a vector moves the stream at its target block and at the last.",
    "core.evaluation.norms",
    least_vectors=0,
)
