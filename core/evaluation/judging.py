"""What is judged of a completion, in one place for events, samples, reports and scores. Torch-free."""

from __future__ import annotations

from core.evaluation.damage import USUAL, Limits, repetition
from core.evaluation.kinds import kind_of
from core.evaluation.refusal import refuses
from vectors.completion import OVERFLOW, Completion, Judgement


def judge(completion: Completion, limits: Limits = USUAL) -> Judgement:
    """The judgement of `completion`'s answer so far; it is broken where it is beyond `limits`, or its logits overflowed."""
    text = completion.text
    repeats = repetition(text)
    broken = limits.exceeded(repeats, completion.perplexity) or completion.stop == OVERFLOW
    unanswered = completion.finished and completion.thinking
    return Judgement(refuses(text), broken, repeats, kind_of(text), unanswered)
