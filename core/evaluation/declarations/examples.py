"""What the metric `examples` can be told; core/evaluation/examples.py measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.evaluation.metric import Metric
from core.specs import Declared, Option


@dataclass(frozen=True)
class Settings(Declared):
    top: Annotated[
        int,
        Option(
            "tokens shown per vector",
            label="Tokens",
            about="How many of the most active tokens are shown for each vector.",
            metavar="K",
            low=1,
            high=1000,
        ),
    ] = 8


METRIC = Metric(
    "max-activating tokens of each vector",
    "The tokens of the prompts, or of any texts (--prompts FILE --raw), whose unsteered residual has the highest cosine with "
    "each vector.",
    "core.evaluation.examples",
    Settings,
    controls=32,
)
