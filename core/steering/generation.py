"""Token streaming for a batch of rows, each under its own steering.

Rows whose prompts have the same length share a batch and a KV cache; others get their own, so that no row is ever padded
and every row comes out as it would alone, on any architecture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
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
from vectors.plain_text import printable

_NO_NUMBERS = "its logits are no finite numbers: what steers it is too large for the model's precision"


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
    """A completion to make: `ids` is the prompt. With `watched`, its tokens are also scored by the unsteered model."""

    key: str
    ids: tuple[int, ...]
    steering: Steering = ()
    sampling: Sampling = Sampling()
    watched: bool = False


@dataclass(frozen=True)
class Completion:
    """A row's text so far: `text` is all of it, `thought` and `answer` its parts. The first `thought_tokens` of `ids` are the
    thought's; `thinking` while no answer has begun.

    For watched rows `kl` [one a token of the answer, nats] is KL(steered || unsteered) on the same tokens, `perplexity` that of
    the answer under the unsteered model. `trouble` is what cut it short, but for the limits that were asked for.
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
    trouble: str = ""

    @property
    def warning(self) -> str:
        """What cut it short, for whoever reads it; or nothing."""
        return f"a completion ends early: {self.trouble}" if self.trouble else ""

    @property
    def overflows(self) -> bool:
        """Whether its logits became no finite numbers, which ended it."""
        return self.trouble == _NO_NUMBERS


@dataclass
class _Live:
    row: Row
    generator: torch.Generator
    thinking: Thinking
    ids: list[int] = field(default_factory=list)
    kl: list[float] = field(default_factory=list)
    surprise: list[float] = field(default_factory=list)
    finished: bool = False
    trouble: str = ""

    @property
    def most(self) -> int:
        """How many tokens it may come to."""
        sampling = self.row.sampling
        return sampling.max_new_tokens + (sampling.thought_tokens if self.thinking.thinking else 0)

    def take(self, token: int, stops: bool, longest: int) -> None:
        """Takes in the token that was picked; `stops`: it ends the answer. `longest`: what the model has positions for."""
        if not stops:
            self.ids.append(token)
        self.thinking.follow(self.ids, ended=stops)
        sampling = self.row.sampling
        full = self.thinking.is_full(len(self.ids), sampling.max_new_tokens, sampling.thought_tokens)
        self.finished = stops or full or len(self.ids) >= longest
        if self.finished and not (stops or full):
            self.trouble = f"the model's context of {longest + len(self.row.ids):,} tokens is full"

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
            self.trouble,
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


def generate(
    model: LanguageModel, rows: Sequence[Row], on_shrink: Callable[[int], None] = lambda rows: None
) -> Iterator[list[Completion]]:
    """Yields, after every token of every batch, the completion so far of each unfinished row of that batch.

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
) -> Generator[list[Completion], None, None]:
    """`_stream`, which where memory runs out is begun anew with one half of the unfinished rows, then with the other: a row
    comes out the same in any batch. What was told of it before is not told again. One row is tried once more when all that can
    be spared was given up (`relieved`).
    """
    told: dict[str, Completion] = {}
    stream = _stream(model, rows)
    try:
        while (step := within_memory(lambda: next(stream, ()))) is not None:
            if step == ():
                return
            told |= {completion.key: completion for completion in step}
            yield list(step)
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
            yield [one for one in step if one.key not in told or one.finished or len(one.ids) > len(told[one.key].ids)]


def _stream(model: LanguageModel, rows: Sequence[Row]) -> Generator[list[Completion], None, None]:
    live = [_Live(row, torch.Generator().manual_seed(row.sampling.seed), thinking(model, row.ids)) for row in rows]
    # A watched row has a shadow in the same batch: unsteered, and fed the same words.
    batch = [_Place(state, state.row.steering) for state in live]
    batch += [_Place(state, (), shadow=True) for state in live if state.row.watched and state.row.steering]
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
                yield [state.completion(model) for state in told]
            left = [i for i, place in enumerate(batch) if not place.state.finished]
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
                yield [state.completion(model) for state in told]
            if not left:
                return
    finally:
        steps.close()


class _Turn:
    """Chooses a token for each completion of `batch`, and writes it down."""

    def __init__(self, batch: Sequence[_Place], device: torch.device) -> None:
        own = {id(place.state): i for i, place in enumerate(batch) if not place.shadow}
        shadows = {id(place.state): i for i, place in enumerate(batch) if place.shadow}
        self._states = [place.state for place in batch if not place.shadow]
        order = {id(state): i for i, state in enumerate(self._states)}
        samplings = [state.row.sampling for state in self._states]
        self._choice = TokenChoice(
            [own[id(state)] for state in self._states],
            [shadows.get(id(state)) for state in self._states],
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
        told = [i for i, state in enumerate(self._states) if not state.finished]
        for i in told:
            state, token = self._states[i], chosen.ids[i]
            if not chosen.finite[i]:
                state.finished, state.trouble = True, _NO_NUMBERS
                continue
            if not math.isnan(chosen.surprise[i]):
                state.kl.append(chosen.kl[i])
                state.surprise.append(chosen.surprise[i])
            state.take(token, token in stop_ids, room)
        return [self._states[i] for i in told]


def _read(model: LanguageModel, prompts: Sequence[tuple[int, ...]], steering: Sequence[Steering]) -> tuple[Tensor, Any]:
    """The prompts of all rows under their steering: the last token's logits [rows, vocab] and the cache.

    Unsteered rows of one prompt, which all shadows are, read it as one.
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
