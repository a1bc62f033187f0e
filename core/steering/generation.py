"""Token streaming for a batch of rows, each under its own steering.

Rows whose prompts have the same length share a batch and a KV cache; others get their own, so that no row is ever padded
and every row comes out as it would alone, on any architecture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor

from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS, check_sampling
from core.memory.halving import OutOfMemory, free, within_memory
from core.model.language_model import LanguageModel
from core.model.prompts import thinking
from core.model.thoughts import Thinking
from core.steering.decode_step import Steps
from core.steering.hooks import RowSteering
from core.steering.terms import Steering
from core.steering.token_choice import Chosen, TokenChoice
from vectors.completion import CONTEXT, END, LENGTH, OVERFLOW, Completion
from vectors.plain_text import printable

# Completions by the keys of their rows, as far as they have come.
Completions = Mapping[str, Completion]
_ENDED: Completions = {}


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
        check_sampling(self.temperature, self.top_p, self.max_new_tokens, self.seed, self.thought_tokens)


@dataclass(frozen=True)
class Row:
    """A completion to generate behind the prompt `ids`. `referenced`: its KL and perplexity are measured too, against an
    unsteered reference in the same batch, which is fed the same tokens."""

    key: str
    ids: tuple[int, ...]
    steering: Steering = ()
    sampling: Sampling = Sampling()
    referenced: bool = False


@dataclass
class _Live:
    row: Row
    generator: torch.Generator
    thinking: Thinking
    ids: list[int] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    stop: str = ""

    @property
    def most(self) -> int:
        """How many tokens it may come to."""
        sampling = self.row.sampling
        return sampling.max_new_tokens + (sampling.thought_tokens if self.thinking.thinking else 0)

    def take(self, token: int, stops: bool, longest: int) -> None:
        """Takes in the token that was chosen; `stops`: it ends the turn. `longest`: what the model has positions for."""
        if not stops:
            self.ids.append(token)
        self.thinking.follow(self.ids, ended=stops)
        sampling = self.row.sampling
        full = self.thinking.is_full(len(self.ids), sampling.max_new_tokens, sampling.thought_tokens)
        self.stop = END if stops else LENGTH if full else CONTEXT if len(self.ids) >= longest else ""

    def completion(self, model: LanguageModel) -> Completion:
        of = self.thinking
        text = "" if of.thinking else _text(model, self.ids[of.tokens :])
        # While no answer has begun, there is none to be measured.
        kl, surprise = ([] if of.thinking else column[of.tokens :] for column in (self.kl, self.surprise))
        return Completion(
            text if of.thought is None else text.lstrip(),
            printable((of.thought or "").rstrip("\ufffd")),
            tuple(self.ids),
            len(self.ids),
            of.tokens,
            tuple(kl),
            sum(kl) / len(kl) if kl else None,
            math.exp(min(sum(surprise) / len(surprise), 50.0)) if surprise else None,
            self.stop,
        )


def _text(model: LanguageModel, ids: Sequence[int]) -> str:
    """The words of `ids`, safe to show, without half a character whose other bytes have not come, or never will."""
    return printable(model.decode(ids).rstrip("\ufffd"))


@dataclass(frozen=True)
class _Place:
    """A row of the batch: a completion's own, or its unsteered reference's."""

    state: _Live
    steering: Steering
    reference: bool = False


def cut_short(model: LanguageModel, completion: Completion) -> str:
    """A warning that `completion` ends before its time, and why; or nothing."""
    why = {
        CONTEXT: f"the model's context of {model.context_length:,} tokens is full",
        OVERFLOW: "its logits are no finite numbers: what steers it is too large for the model's precision",
    }.get(completion.stop)
    return f"a completion ends early: {why}" if why else ""


def generate(
    model: LanguageModel, rows: Sequence[Row], on_shrink: Callable[[int], None] = lambda rows: None
) -> Iterator[Completions]:
    """Yields, after every token of every batch, the completions so far of its rows that were unfinished, by their keys.

    May be closed at any yield. Where memory runs out a batch is halved, and `on_shrink` called with its new number of rows.
    Raises SettingsError for an empty prompt, OutOfMemory where a row alone is too much.
    """
    by_length: dict[int, list[Row]] = {}
    for row in rows:
        if not row.ids:
            raise SettingsError("the prompt is empty", "type something for the model to answer")
        by_length.setdefault(len(row.ids), []).append(row)
    streams = [_within_memory(model, group, on_shrink) for group in by_length.values()]
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


def _within_memory(
    model: LanguageModel, rows: Sequence[Row], on_shrink: Callable[[int], None], relieved: bool = False
) -> Generator[Completions, None, None]:
    """`_stream`, which where memory runs out is begun anew with one half of the unfinished rows, then with the other: a row
    comes out the same in any batch. What was told of it before is not told again. One row is tried once more when all that can
    be spared was given up (`relieved`).
    """
    told: dict[str, Completion] = {}
    stream = _stream(model, rows)
    try:
        while (step := within_memory(lambda: next(stream, _ENDED))) is not None:
            if step is _ENDED:
                return
            told |= step
            yield step
    finally:
        stream.close()
    free(model.fixed_shapes.clear)
    left = [row for row in rows if row.key not in told or not told[row.key].finished]
    if not left:
        return
    if len(rows) == 1 and relieved:
        raise OutOfMemory(len(rows))
    half = max(len(left) // 2, 1)
    if len(rows) > 1:
        on_shrink(half)
    for some in (left[:half], left[half:]):
        for step in _within_memory(model, some, on_shrink, relieved=True) if some else ():
            news = (key for key, one in step.items() if key not in told or one.finished or one.tokens > told[key].tokens)
            yield {key: step[key] for key in news}


def _stream(model: LanguageModel, rows: Sequence[Row]) -> Generator[Completions, None, None]:
    live = [_Live(row, torch.Generator().manual_seed(row.sampling.seed), thinking(model, row.ids)) for row in rows]
    batch = [_Place(state, state.row.steering) for state in live]
    batch += [_Place(state, (), reference=True) for state in live if state.row.referenced and state.row.steering]
    prompt = len(rows[0].ids)
    room = model.context_length - prompt
    logits, cache = _read(model, [place.state.row.ids for place in batch], [place.steering for place in batch])
    most = min(max(state.most for state in live), room)
    steps = Steps(model, cache, RowSteering(model, [place.steering for place in batch], prompt, begin=prompt), prompt, most)
    turn, stops = _Turn(batch, model.device), model.stop_ids
    # On a GPU the next step is under way while the text so far is handed over.
    ahead = model.device.type == "cuda"
    try:
        for made in count(1):
            chosen = turn.choose(logits)
            told = turn.take(chosen, stops, room)
            if not ahead:
                yield {state.row.key: state.completion(model) for state in told}
            left = [i for i, place in enumerate(batch) if not place.state.stop]
            fed = chosen.tokens[turn.fed_by]
            if left:
                if model.decoding.reorders and len(left) <= steps.worth_keeping * len(batch):
                    batch = [batch[i] for i in left]
                    fed = fed[torch.tensor(left, device=fed.device)]
                    begin = prompt + made - 1
                    steps.keep(left, RowSteering(model, [place.steering for place in batch], prompt, begin=begin))
                    turn = _Turn(batch, model.device)
                logits = steps.step(fed)
            if ahead:
                yield {state.row.key: state.completion(model) for state in told}
            if not left:
                return
    finally:
        steps.close()


class _Turn:
    """Chooses a token for each completion of `batch`, and writes it down."""

    def __init__(self, batch: Sequence[_Place], device: torch.device) -> None:
        own = {id(place.state): i for i, place in enumerate(batch) if not place.reference}
        references = {id(place.state): i for i, place in enumerate(batch) if place.reference}
        self._states = [place.state for place in batch if not place.reference]
        order = {id(state): i for i, state in enumerate(self._states)}
        samplings = [state.row.sampling for state in self._states]
        self._choice = TokenChoice(
            [own[id(state)] for state in self._states],
            [references.get(id(state)) for state in self._states],
            [sampling.temperature for sampling in samplings],
            [sampling.top_p for sampling in samplings],
            device,
        )
        # Which of the tokens each row of the batch is fed: its completion's.
        self.fed_by = torch.tensor([order[id(place.state)] for place in batch], device=device)

    def choose(self, logits: Tensor) -> Chosen:
        drawn = [self._states[i].generator for i in self._choice.drawn]
        return self._choice(logits, [float(torch.rand((), generator=generator)) for generator in drawn])

    def take(self, chosen: Chosen, stop_ids: frozenset[int], room: int) -> list[_Live]:
        """Adds the tokens to those that had not ended; which these are."""
        told = [i for i, state in enumerate(self._states) if not state.stop]
        for i in told:
            state, token = self._states[i], chosen.ids[i]
            if not chosen.finite[i]:
                state.stop = OVERFLOW
                continue
            if not math.isnan(chosen.surprise[i]):
                state.kl.append(chosen.kl[i])
                state.surprise.append(chosen.surprise[i])
            state.take(token, token in stop_ids, room)
        return [self._states[i] for i in told]


def _read(model: LanguageModel, prompts: Sequence[tuple[int, ...]], steering: Sequence[Steering]) -> tuple[Tensor, Any]:
    """The prompts of all rows under their steering: the last token's logits [rows, vocab] and the cache.

    Unsteered rows of one prompt, which all references are, read it as one.
    """
    # A steered row is of a kind of its own.
    kinds = [(ids, row if terms else None) for row, (ids, terms) in enumerate(zip(prompts, steering, strict=True))]
    read = list(dict.fromkeys(kinds)) if model.decoding.reorders else kinds
    ids = torch.tensor([list(ids) for ids, _ in read], device=model.device)
    with RowSteering(model, [() if row is None else steering[row] for _, row in read], len(prompts[0])).applied():
        logits, cache = model.forward(ids)
    if len(read) < len(kinds):
        rows = torch.tensor([read.index(kind) for kind in kinds], device=model.device)
        cache.reorder_cache(rows)
        logits = logits[rows]
    return logits, cache
