"""What the metric `behaviours` says of itself; core/evaluation/behaviours.py measures it."""

from __future__ import annotations

from core.evaluation.metric import Metric

METRIC = Metric(
    "how many different things vectors make the model do",
    "The answers by kind (code, a list, a language, prose ...), and those of them that are unlike each other.",
    "core.evaluation.behaviours",
    tokens=40,
)
