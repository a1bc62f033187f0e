"""What the metric `kl` can be told; core/evaluation/kl.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.evaluation.metric import Metric
from core.specs import Declared, Option


@dataclass(frozen=True)
class Settings(Declared):
    base: Annotated[
        str | None,
        Option(
            "also KL to this vector",
            about="A vector of the library: KL(vector || base) is measured too. Empty: the base of a family, where "
            "all are of one.",
            metavar="VECTOR",
            default="the base of a family",
            vector=True,
        ),
    ] = None


METRIC = Metric(
    "KL(steered || unsteered) of the next token",
    "KL(steered || unsteered) of the prompt's next token, and KL(vector || base) where there is a base vector.",
    "core.evaluation.kl",
    Settings,
)
