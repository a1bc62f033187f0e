"""What the metric `sweep` can be told; core/evaluation/sweep.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import SettingsError
from core.evaluation.metric import Metric
from core.limits import ANSWER_TOKENS
from core.specs import Declared, Option
from vectors.files.bounded import MOST_COEFFICIENT


@dataclass(frozen=True)
class Settings(Declared):
    coefficients: Annotated[
        tuple[float, ...],
        Option(
            "coefficients to try",
            label="Coefficients",
            about="The coefficients of each vector, with commas between. 0 is the unsteered model, which is always measured.",
            metavar="X,X",
            low=-MOST_COEFFICIENT,
            high=MOST_COEFFICIENT,
        ),
    ] = (-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 in self.coefficients:
            raise SettingsError("coefficient 0 is the unsteered model, which is always measured", "leave it out")


METRIC = Metric(
    "completions over a range of coefficients",
    "Completions at several coefficients of each vector, their KL and perplexity, and the coefficients between which no "
    "text is broken.",
    "core.evaluation.sweep",
    Settings,
    tokens=ANSWER_TOKENS,
)
