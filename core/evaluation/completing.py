"""Completions of many prompts under many steerings, in batches that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from core.model.language_model import LanguageModel
from core.steering.generation import Completions, Row, Sampling, generate
from core.steering.terms import Steering
from vectors.completion import Completion

_AT_ONCE = 64


@dataclass(frozen=True)
class Asked:
    """A prompt, as a user's message, and what steers the model while it answers."""

    text: str
    steering: Steering = ()


def completed(
    model: LanguageModel, asked: Sequence[Asked], tokens: int, temperature: float = 0.0
) -> Generator[None, None, list[Completion]]:
    """The completions, of at most `tokens` tokens, of `asked`, in order. Yields between steps."""
    ids = [tuple(model.encode_chat([{"role": "user", "content": one.text}])) for one in asked]
    rows = [
        Row(str(i), prompt, one.steering, Sampling(temperature, max_new_tokens=tokens, seed=i))
        for i, (prompt, one) in enumerate(zip(ids, asked, strict=True))
    ]
    found: dict[str, Completion] = {}
    for completions in generate_in_batches(model, rows):
        found |= completions
        yield
    return [found[str(i)] for i in range(len(asked))]


def generate_in_batches(
    model: LanguageModel, rows: Sequence[Row], on_shrink: Callable[[int], None] = lambda rows: None
) -> Iterator[Completions]:
    """What `generate` yields, for more rows than go into a batch: batch by batch, each of prompts of one length."""
    size = _AT_ONCE // 2 if any(row.referenced for row in rows) else _AT_ONCE  # a row with its reference is two

    def shrunk(rows: int) -> None:
        nonlocal size
        size = rows  # the batches to come are no larger
        on_shrink(rows)

    for _, alike in groupby(sorted(rows, key=lambda row: len(row.ids)), key=lambda row: len(row.ids)):
        batch = list(alike)
        while batch:
            some, batch = batch[:size], batch[size:]
            yield from generate(model, some, shrunk)
