"""What the metric `sweep` can be told; core/evaluation/sweep.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import SettingsError
from core.evaluation.metric import Metric
from core.specs import Declared, Option
from vectors.files.bounded import MOST_COEFFICIENT


@dataclass(frozen=True)
class Settings(Declared):
    coefficients: Annotated[
        tuple[float, ...],
        Option(
            "what the vectors are multiplied by",
            label="Coefficients",
            about="What each vector is multiplied by, with commas between. 0 is the unsteered model, which stands beside them "
            "anyway.",
            metavar="X,X",
            low=-MOST_COEFFICIENT,
            high=MOST_COEFFICIENT,
        ),
    ] = (-2.0, -1.0, -0.5, 0.5, 1.0, 1.5, 2.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0.0 in self.coefficients:
            raise SettingsError(
                "of the coefficients, 0 is the unsteered model, which stands beside them anyway", "leave it out"
            )


METRIC = Metric(
    "what several coefficients do to the text",
    "Completions under several multiples of each vector, how far they are from unsteered ones, and between which coefficients "
    "the text holds.",
    "core.evaluation.sweep",
    Settings,
    tokens=40,
)
