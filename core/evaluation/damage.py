"""Damage: how repetitive a completion is, and how surprising to the unsteered model; beyond a bound it is broken."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Limits:
    """Perplexity under the unsteered model, and repetition, beyond which text counts as broken."""

    perplexity: float
    repetition: float

    def exceeded_by(self, repetition: float, perplexity: float | None) -> str:
        """Which of them is, empty where neither; a perplexity of None was not measured."""
        if repetition > self.repetition:
            return "repetition"
        return "" if perplexity is None or perplexity <= self.perplexity else "perplexity"  # NaN is beyond

    def damage(self, repetition: float, perplexity: float | None) -> float:
        """How near to them, 0 to 1 and more: 1 is where the perplexity (its logarithm) or the repetition counts as broken."""
        surprise = math.log(max(perplexity, 1.0)) / math.log(self.perplexity) if perplexity is not None else 0.0
        return max(surprise, repetition / self.repetition)


# See docs/findings.md for what was measured.
USUAL = Limits(perplexity=60.0, repetition=0.5)


def repetition(text: str) -> float:
    """Share of the text that says again what it said before, 0 (none) to 1: of its word pairs, or of its runs of six
    characters (`000000...`, or languages without spaces), whichever is more."""
    return max(_repeated(list(pairwise(text.split()))), _repeated([text[i : i + 6] for i in range(len(text) - 5)]))


def _repeated(units: Sequence[Hashable]) -> float:
    return 1 - len(set(units)) / len(units) if len(units) > 3 else 0.0
