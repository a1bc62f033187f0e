"""What the metric `dose` can be told; core/evaluation/dose.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.evaluation.metric import Metric
from core.specs import Declared, Option
from vectors.files.bounded import MOST_COEFFICIENT

UNBROKEN = 1.0  # the damage from which text counts as broken


@dataclass(frozen=True)
class Settings(Declared):
    """`most_damage` None: UNBROKEN where no `most_kl` is given, else no limit."""

    most_kl: Annotated[
        float | None,
        Option(
            "the most KL to the unsteered model, nats a token, in the mean over each completion",
            label="Most KL",
            about="The limit of the KL to the unsteered model, in nats a token, in the mean over each completion. auto: none.",
            metavar="X",
            default="no limit",
            above=0,
            high=1e6,
        ),
    ] = None
    most_damage: Annotated[
        float | None,
        Option(
            "the most damage of a completion; 1 is where text counts as broken",
            label="Most damage",
            about="The limit of each completion's damage (perplexity under the unsteered model, or repetition); at 1 text "
            "counts as broken. auto: 1, where the KL has no limit.",
            metavar="X",
            default="1 where --most-kl is not given, else no limit",
            above=0,
            high=1e6,
        ),
    ] = None
    most_coefficient: Annotated[
        float,
        Option(
            "the largest coefficient that is tried",
            label="Up to",
            about="The largest coefficient that is tried.",
            metavar="X",
            above=0,
            high=MOST_COEFFICIENT,
            advanced=True,
        ),
    ] = 64.0

    @property
    def damage_limit(self) -> float | None:
        """The limit of the damage that holds."""
        return UNBROKEN if self.most_damage is None and self.most_kl is None else self.most_damage


METRIC = Metric(
    "the largest coefficient that stays below a limit of KL or damage",
    "The largest coefficient, of either sign, at which every completion stays below a limit of KL or damage, by bisection, and "
    "what stopped it.",
    "core.evaluation.dose",
    Settings,
    tokens=40,
    controls=2,
)
