"""Token streaming for a batch of rows, each under its own steering.

Rows whose prompts have the same length share a batch and a KV cache; others get their own, so that no row is ever padded
and every row comes out as it would alone, on any architecture.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor

from core.divergence import divergence
from core.errors import SettingsError
from core.language_model import LanguageModel
from core.model.thoughts import Thinking
from core.prompting import thinking
from core.requests import THOUGHT_TOKENS, check_seed
from core.residual import RowSteering
from core.steering import Steering
from vectors.plain_text import printable

_WORTH_A_COPY = 0.8
_COLD = 1e-6  # draws the likeliest token, and logits divided by less are too large for numbers


@dataclass(frozen=True)
class Sampling:
    """`temperature` 0 is greedy; a seed makes a row's draws its own, whatever else is in the batch.

    An answer has at most `max_new_tokens`, a thought before it at most `thought_tokens`: then there is no answer.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 48
    seed: int = 0
    thought_tokens: int = THOUGHT_TOKENS

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise SettingsError(f"the temperature must be 0 or more, not {self.temperature:g}")
        if not 0 < self.top_p <= 1:
            raise SettingsError(f"top-p must be above 0 and at most 1, not {self.top_p:g}")
        if self.max_new_tokens < 1 or self.thought_tokens < 1:
            raise SettingsError("at least one new token must be allowed")
        check_seed(self.seed)


@dataclass(frozen=True)
class Row:
    """A completion to make: `ids` is the prompt. With `watched`, its tokens are also scored by the unsteered model."""

    key: str
    ids: tuple[int, ...]
    steering: Steering = ()
    sampling: Sampling = Sampling()
    watched: bool = False


@dataclass(frozen=True)
class Completion:
    """What a row has said so far: `text` is all of it, `thought` and `answer` its parts. The first `thought_tokens` of `ids`
    are the thought's; `thinking` while no answer has begun.

    For watched rows `kl` [one a token of the answer, nats] is KL(steered || unsteered) on the same words, `perplexity` that of
    the answer under the unsteered model.
    """

    key: str
    text: str
    ids: tuple[int, ...]
    finished: bool
    kl: tuple[float, ...] = ()
    perplexity: float | None = None
    answer: str = ""
    thought: str = ""
    thought_tokens: int = 0
    thinking: bool = False


@dataclass
class _Live:
    row: Row
    generator: torch.Generator
    thinking: Thinking
    ids: list[int] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    finished: bool = False
    next: int = 0  # the token it is fed

    def take(self, token: int, stops: bool, longest: int) -> None:
        """Takes in the token that was picked; `stops`: it ends the answer. `longest`: what the model has positions for."""
        self.next = token
        if not stops:
            self.ids.append(token)
        self.thinking.follow(self.ids, ended=stops)
        sampling = self.row.sampling
        full = self.thinking.is_full(len(self.ids), sampling.max_new_tokens, sampling.thought_tokens)
        self.finished = stops or full or len(self.ids) >= longest

    def completion(self, model: LanguageModel) -> Completion:
        of, text = self.thinking, _text(model, self.ids)
        answer = text if of.thought is None else _text(model, self.ids[of.tokens :]).lstrip()
        # While no answer has begun, nothing is there to be judged.
        kl, surprise = ([] if of.thinking else column[of.tokens :] for column in (self.kl, self.surprise))
        return Completion(
            self.row.key,
            text,
            tuple(self.ids),
            self.finished,
            tuple(kl),
            math.exp(min(sum(surprise) / len(surprise), 50.0)) if surprise else None,
            "" if of.thinking else answer,
            printable((of.thought or "").rstrip("\ufffd")),
            of.tokens,
            of.thinking,
        )


def _text(model: LanguageModel, ids: Sequence[int]) -> str:
    """The words of `ids`, safe to show, without half a character whose other bytes have not come, or never will."""
    return printable(model.decode(ids).rstrip("\ufffd"))


@dataclass(frozen=True)
class _Place:
    """A row of the batch: a completion's own, or its unsteered shadow's."""

    state: _Live
    steering: Steering
    shadow: bool = False


def generate(model: LanguageModel, rows: Sequence[Row]) -> Iterator[list[Completion]]:
    """Yields, after every token of every batch, what each unfinished row of that batch has said so far.

    May be closed at any yield. Raises SettingsError for an empty prompt.
    """
    by_length: dict[int, list[Row]] = {}
    for row in rows:
        if not row.ids:
            raise SettingsError("the prompt is empty", "type something for the model to answer")
        by_length.setdefault(len(row.ids), []).append(row)
    streams = [_stream(model, group) for group in by_length.values()]
    try:
        while streams:
            for stream in list(streams):
                try:
                    yield next(stream)
                except StopIteration:
                    streams.remove(stream)
    finally:
        for stream in streams:
            stream.close()


def _stream(model: LanguageModel, rows: Sequence[Row]) -> Generator[list[Completion], None, None]:
    live = [_Live(row, torch.Generator().manual_seed(row.sampling.seed), thinking(model, row.ids)) for row in rows]
    stops = model.stop_ids
    # A watched row has a shadow in the same batch: unsteered, and fed the same words.
    batch = [_Place(state, state.row.steering) for state in live]
    batch += [_Place(state, (), shadow=True) for state in live if state.row.watched and state.row.steering]
    prompt = len(rows[0].ids)
    longest = (getattr(model.config, "max_position_embeddings", None) or 1 << 30) - prompt
    logits, cache = _read(model, [place.state.row.ids for place in batch], [place.steering for place in batch])
    hooks = RowSteering(model, [place.steering for place in batch], prompt, begin=prompt)
    for said in count(1):
        shadows = {id(place.state): seen for place, seen in zip(batch, logits, strict=True) if place.shadow}
        spoken = []
        for place, seen in zip(batch, logits, strict=True):
            state = place.state
            if place.shadow or state.finished:
                continue
            spoken.append(state)
            token = _pick(state, seen)
            if id(state) in shadows:
                _score(state, token, seen, shadows[id(state)])
            state.take(token, token in stops, longest)
        yield [state.completion(model) for state in spoken]
        left = [i for i, place in enumerate(batch) if not place.state.finished]
        if not left:
            return
        # Those that have ended are left out once that saves more than it takes to copy the others' cache.
        if len(left) <= _WORTH_A_COPY * len(batch):
            cache.reorder_cache(torch.tensor(left, device=model.device))
            batch = [batch[i] for i in left]
            hooks = RowSteering(model, [place.steering for place in batch], prompt, begin=prompt + said - 1)
        with hooks.applied():
            logits, cache = model.forward(torch.tensor([[place.state.next] for place in batch], device=model.device), cache)
        logits = logits.cpu()


def _read(model: LanguageModel, prompts: Sequence[tuple[int, ...]], steering: Sequence[Steering]) -> tuple[Tensor, Any]:
    """The prompts of all rows under their steering: the last token's logits [rows, vocab], on the CPU, and the cache.

    Unsteered rows of one prompt, which all shadows are, read it as one.
    """
    # A steered row is of a kind of its own.
    kinds = [(ids, row if terms else None) for row, (ids, terms) in enumerate(zip(prompts, steering, strict=True))]
    read = list(dict.fromkeys(kinds))
    ids = torch.tensor([list(ids) for ids, _ in read], device=model.device)
    with RowSteering(model, [() if row is None else steering[row] for _, row in read], len(prompts[0])).applied():
        logits, cache = model.forward(ids)
    logits = logits.cpu()
    if len(read) < len(kinds):
        rows = torch.tensor([read.index(kind) for kind in kinds])
        cache.reorder_cache(rows.to(model.device))
        logits = logits[rows]
    return logits, cache


def _pick(state: _Live, logits: Tensor) -> int:
    """The next token for `logits` [vocab]: the likeliest, or drawn from the smallest set that holds `top_p`."""
    sampling = state.row.sampling
    if sampling.temperature < _COLD:
        return int(logits.argmax())
    probabilities, tokens = torch.softmax(logits / sampling.temperature, dim=-1).sort(descending=True)
    if sampling.top_p < 1:
        # The likeliest stays, however small `top_p` is.
        probabilities[1:][(probabilities.cumsum(dim=-1) - probabilities)[1:] >= sampling.top_p] = 0
    return int(tokens[torch.multinomial(probabilities, 1, generator=state.generator)])


def _score(state: _Live, token: int, steered: Tensor, unsteered: Tensor) -> None:
    """Adds KL(steered || unsteered) in nats, and how much `token` surprises the unsteered model, to the row's record."""
    state.kl.append(float(divergence(steered, unsteered)))
    state.surprise.append(float(unsteered.logsumexp(dim=-1) - unsteered[token]))
