"""What every metric can be told, beside its own settings: fields of the request (core/engine/evaluation_requests.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.discovery.declarations.general import ThoughtTokens
from core.limits import MOST, THOUGHT_TOKENS, check_seed
from core.specs import Declared, Option


@dataclass(frozen=True, kw_only=True)
class General(Declared):
    """`controls` random vectors of the same norm stand beside. Completions have at most `tokens`, and `thought_tokens` of a
    thought before the answer. `controls`, `tokens` None: the metric's own number."""

    controls: Annotated[
        int | None,
        Option(
            "random vectors to compare with",
            label="Random",
            about="How many random vectors of the same norm are measured beside, to compare with.",
            metavar="N",
            default="the metric's own number",
            low=0,
            high=MOST["controls"],
            advanced=True,
        ),
    ] = None
    seed: Annotated[
        int,
        Option(
            "of the random vectors",
            about="The same seed draws the same random vectors again.",
            metavar="N",
            check=check_seed,
            advanced=True,
        ),
    ] = 0
    tokens: Annotated[
        int | None,
        Option(
            "the most tokens of an answer",
            label="Answers",
            about="How many tokens an answer may have.",
            flag="--max-new-tokens",
            metavar="N",
            default="the metric's own number",
            low=1,
            high=MOST["tokens"],
            advanced=True,
        ),
    ] = None
    thought_tokens: ThoughtTokens = THOUGHT_TOKENS
