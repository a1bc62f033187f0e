"""What steering breaks: text that repeats itself, words that the unsteered model would hardly say."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise

# Perplexity under the unsteered model beyond which text is counted as broken; see docs/findings.md for what was measured.
BROKEN_PERPLEXITY = 60.0
BROKEN_REPETITION = 0.5


def repetition(text: str) -> float:
    """Share of the text that says again what it said before, 0 (none) to 1: of its word pairs, or of its runs of six
    characters (`000000...`, or languages without spaces), whichever is more."""
    return max(_repeated(list(pairwise(text.split()))), _repeated([text[i : i + 6] for i in range(len(text) - 5)]))


def _repeated(units: Sequence[Hashable]) -> float:
    return 1 - len(set(units)) / len(units) if len(units) > 3 else 0.0


def is_broken(text: str, perplexity: float | None) -> bool:
    """Whether `text` reads as damaged, by repetition or by its perplexity under the unsteered model."""
    return repetition(text) > BROKEN_REPETITION or (perplexity is not None and perplexity > BROKEN_PERPLEXITY)
