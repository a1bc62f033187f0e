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
            "a prompt of the second set",
            about="The second set of prompts, to be told apart from the first.",
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
    "cosine with the unsteered stream, two prompt sets",
    "The unsteered residual stream's cosine with each vector on two sets of prompts, and whether it tells them apart.",
    "core.evaluation.presence",
    Settings,
)
