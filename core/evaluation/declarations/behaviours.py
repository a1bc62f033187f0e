"""What the metric `behaviours` says of itself; core/evaluation/behaviours.py measures it."""

from __future__ import annotations

from core.evaluation.declarations.judge import WithJudge
from core.evaluation.metric import Metric
from core.limits import ANSWER_TOKENS

METRIC = Metric(
    "kinds of completions, and how many differ",
    "The answers by kind (code, a list, a language, prose ...), and how many of them differ from all others.",
    "core.evaluation.behaviours",
    WithJudge,
    tokens=ANSWER_TOKENS,
)
