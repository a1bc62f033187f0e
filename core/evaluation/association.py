"""How much likelier its prompt makes a completion than other prompts do: their pointwise mutual information."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from core.evaluation.fluency import surprise
from core.model.language_model import LanguageModel
from vectors.completion import Completion, Judgement

# Requests of which hardly any is what a prompt asks; their mean stands for the text's probability whatever is asked.
UNRELATED = (
    "How do I bake bread?",
    "How can I learn to play the guitar?",
    "What is the best way to clean a carpet?",
    "Tell me how to plan a birthday party.",
)
# Nats a token. Of completions on two prompts that a reader called relevant, all had more than 0.4; greetings less than 0.2.
_RELATED = 0.3


def pointwise_mutual_information(
    model: LanguageModel, prompt: str, answer: Sequence[int], thought: Sequence[int] = ()
) -> float:
    """log P(answer | prompt) minus its mean over unrelated prompts, under `model`, unsteered, in nats a token of `answer`."""
    others = [surprise(model, other, answer, thought) for other in UNRELATED if other != prompt]
    return fmean(others) - surprise(model, prompt, answer, thought)


def settled(model: LanguageModel, prompt: str | None, completion: Completion, judgement: Judgement) -> Judgement:
    """`judgement`, where words could not tell whether `completion` is on topic, with what the model's probabilities tell."""
    answer = completion.ids[completion.thought_tokens :]
    if judgement.on_topic is not None or prompt is None or not answer:
        return judgement
    thought = completion.ids[: completion.thought_tokens]
    return replace(judgement, on_topic=pointwise_mutual_information(model, prompt, answer, thought) > _RELATED)
