"""What the metric `presence` can be told; core/evaluation/presence.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.evaluation.metric import Metric
from core.specs import Declared, Option


@dataclass(frozen=True)
class Settings(Declared):
    against: Annotated[
        tuple[str, ...],
        Option(
            "a prompt of the other kind",
            about="Prompts of another kind, to be told apart from those above.",
        ),
    ] = ()
    at: Annotated[
        str,
        Option(
            "which of a prompt's tokens count",
            label="Tokens",
            about="Which of a prompt's tokens count: the mean of all but the first, the last one, or the most active one.",
            choices=("mean", "last", "max"),
            names=("their mean", "the last", "the most active"),
            default="mean, of all but the first",
        ),
    ] = "mean"


METRIC = Metric(
    "how much of vectors is in the unsteered model",
    "How far the residual stream points a vector's way on prompts of two kinds, and whether that tells them apart.",
    "core.evaluation.presence",
    Settings,
)
