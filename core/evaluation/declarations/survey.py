"""What the metric `survey` says of itself; core/evaluation/survey.py measures it."""

from __future__ import annotations

from core.evaluation.declarations.judge import WithJudge
from core.evaluation.metric import Metric
from core.limits import ANSWER_TOKENS

METRIC = Metric(
    "refusals and broken text on many prompts",
    "On how many prompts each vector ends or causes a refusal, breaks the text or changes nothing; and prompt by prompt.",
    "core.evaluation.survey",
    WithJudge,
    tokens=ANSWER_TOKENS,
)
