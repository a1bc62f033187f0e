"""How different completions are, by the words that they begin with."""

from __future__ import annotations

from collections.abc import Sequence


def opening_words(text: str) -> frozenset[str]:
    """The first twenty words of `text`, by which completions are compared."""
    return frozenset(text.lower().split()[:20])


def unlikeness(one: frozenset[str], other: frozenset[str]) -> float:
    """Which share of the words that two completions begin with only one of them has: 0 (alike) to 1."""
    return 1 - len(one & other) / len(one | other) if one | other else 0.0


def distinct(texts: Sequence[str], share: float = 0.5) -> list[str]:
    """`texts` without those whose opening words are, by more than `share` of them, those of an earlier one."""
    kept: list[tuple[str, frozenset[str]]] = []
    for text in texts:
        words = opening_words(text)
        if words and all(unlikeness(words, other) >= 1 - share for _, other in kept):
            kept.append((text, words))
    return [text for text, _ in kept]
