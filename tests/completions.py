"""Completions and the events that bring them, for tests that tell the app what an engine would."""

from __future__ import annotations

from typing import Any

from core.engine.events import Generated
from vectors.completion import END, Completion


def completion(text: str = "", tokens: int = 0, finished: bool = True, kl: tuple[float, ...] = (), **more: Any) -> Completion:
    """A completion; `more` are other fields of it."""
    mean = sum(kl) / len(kl) if kl else None
    return Completion(text, tokens=tokens, kl=kl, stop=END if finished else "", **{"mean_kl": mean, **more})


def generated(
    task: int, key: str, text: str, tokens: int = 0, finished: bool = True, kl: tuple[float, ...] = (),
    perplexity: float | None = None, tokens_per_second: float | None = None, prompt: str | None = None, **more: Any,
) -> Generated:  # fmt: skip
    """The event that brings the row `key` its completion."""
    made = completion(text, tokens, finished, kl, perplexity=perplexity, **more)
    return Generated(task, key, made, tokens_per_second, prompt)
