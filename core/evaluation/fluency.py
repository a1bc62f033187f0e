"""How probable a completion is to the unsteered model, and what counts as fluent to it."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import replace

import torch

from core.evaluation.completing import Asked, completed
from core.evaluation.damage import Limits, repetition
from core.model.language_model import LanguageModel
from vectors.completion import Completion

_MOST_NATS = 700.0  # whose exponential is still a number


def perplexity(model: LanguageModel, prompt: str, answer: Sequence[int], thought: Sequence[int] = ()) -> float:
    """Perplexity of `answer` [token ids] to `prompt`, behind `thought`, under `model`, unsteered; infinite for no answer."""
    return math.exp(min(surprise(model, prompt, answer, thought), _MOST_NATS)) if answer else math.inf


@torch.no_grad()
def surprise(model: LanguageModel, prompt: str, answer: Sequence[int], thought: Sequence[int] = ()) -> float:
    """-log P of `answer` [token ids, one or more] to `prompt`, behind `thought`, under `model`, unsteered, in nats a token."""
    ids = [*model.encode_chat([{"role": "user", "content": prompt}]), *thought]
    logits = model.model(input_ids=model.ids_tensor([*ids, *answer])).logits[0, len(ids) - 1 : -1].float()
    return float(torch.nn.functional.cross_entropy(logits, torch.tensor(list(answer), device=logits.device)))


def scored(model: LanguageModel, prompt: str, completion: Completion) -> Completion:
    """`completion` with its perplexity under `model`, which need not be the one that generated it."""
    thought = completion.thought_tokens
    return replace(completion, perplexity=perplexity(model, prompt, completion.ids[thought:], completion.ids[:thought]))


def measured_limits(model: LanguageModel, asked: Sequence[Asked], tokens: int) -> Generator[None, None, Limits]:
    """Limits that 95% of the model's own completions of `asked` keep to, each alone.

    The perplexity is that of completions at temperature 1, since greedy ones are less surprising than any other text; the
    repetition that of greedy ones, for such are judged. Yields between steps.
    """
    drawn = yield from completed(model, asked, tokens, temperature=1.0)
    surprises = []
    for one, completion in zip(asked, drawn, strict=True):
        surprises.append(scored(model, one.text, completion).perplexity or 0.0)
        yield
    greedy = yield from completed(model, asked, tokens)
    finite = torch.tensor([value for value in surprises if value != float("inf")])
    repeats = torch.tensor([repetition(completion.text) for completion in greedy])
    return Limits(float(finite.quantile(0.95)), float(repeats.quantile(0.95)))
