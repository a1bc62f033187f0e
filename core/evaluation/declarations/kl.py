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
            "KL to this vector too",
            about="A vector of the library to which the others' distributions are held. Empty: the base of a family, where "
            "all are of one.",
            metavar="VECTOR",
            default="the base of a family",
            vector=True,
        ),
    ] = None


METRIC = Metric(
    "how far vectors move the next word, in nats",
    "KL(steered || unsteered) of the prompt's next token, and KL(vector || base) where there is a base vector.",
    "core.evaluation.kl",
    Settings,
)
