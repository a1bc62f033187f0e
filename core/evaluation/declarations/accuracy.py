"""What the metric `accuracy` says of itself; core/evaluation/accuracy.py measures it."""

from __future__ import annotations

from core.evaluation.metric import Metric

METRIC = Metric(
    "right answers to your questions",
    "How many questions are answered right. The vector that is best on every other question is scored on the rest.",
    "core.evaluation.accuracy",
    tokens=24,
    questions=True,
)
