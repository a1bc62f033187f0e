"""What steering breaks: text that repeats itself, words that the unsteered model would hardly say."""

from __future__ import annotations

from itertools import pairwise

# Perplexity under the unsteered model beyond which text is counted as broken; see docs/findings.md for what was measured.
BROKEN_PERPLEXITY = 60.0
BROKEN_REPETITION = 0.5


def repetition(text: str) -> float:
    """Share of the text's word pairs that occurred before in it, 0 (none) to 1; what has no spaces counts by characters."""
    words = text.split()
    units = words if len(words) >= 4 else list(text)
    pairs = list(pairwise(units))
    return 1 - len(set(pairs)) / len(pairs) if len(pairs) > 3 else 0.0


def is_broken(text: str, perplexity: float | None) -> bool:
    """Whether `text` reads as damaged, by repetition or by its perplexity under the unsteered model."""
    return repetition(text) > BROKEN_REPETITION or (perplexity is not None and perplexity > BROKEN_PERPLEXITY)
