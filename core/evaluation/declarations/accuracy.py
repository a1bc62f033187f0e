"""What the metric `accuracy` says of itself; core/evaluation/accuracy.py measures it."""

from __future__ import annotations

from core.evaluation.metric import Metric

METRIC = Metric(
    "accuracy on your questions",
    "The share of right answers. The vector that is best on half of the questions is scored on the other half.",
    "core.evaluation.accuracy",
    tokens=24,
    questions=True,
)
