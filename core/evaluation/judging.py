"""What is judged of a completion, in one place for events, samples, reports and scores. Torch-free."""

from __future__ import annotations

from core.evaluation.damage import USUAL, Limits, repetition
from core.evaluation.degeneration import degenerate
from core.evaluation.kinds import kind_of
from core.evaluation.refusal import deflects, refuses
from core.evaluation.relevance import on_topic
from vectors.completion import OVERFLOW, Completion, Judgement


def judge(completion: Completion, prompt: str | None = None, limits: Limits = USUAL) -> Judgement:
    """The judgement of `completion`'s answer so far to `prompt`, the user's message.

    Whether it is on topic is not told without a prompt, nor before it has begun; what refuses or deflects attempts nothing.

    It is broken where it is degenerate, beyond `limits`, or its logits overflowed. An empty one is broken once it is finished.
    """
    text = completion.text
    repeats, kind = repetition(text), kind_of(text)
    why = degenerate(text, kind == "code") if text.strip() or (completion.finished and not completion.thinking) else ""
    if not why:
        why = "overflow" if completion.stop == OVERFLOW else limits.exceeded_by(repeats, completion.perplexity)
    unanswered = completion.finished and completion.thinking
    declines, evades = refuses(text), deflects(text)
    topical = None
    if prompt is not None and (text.strip() or completion.finished):
        topical = on_topic(prompt, text, kind) if not (declines or evades) else False
    return Judgement(declines, bool(why), repeats, kind, unanswered, evades, topical, why)
