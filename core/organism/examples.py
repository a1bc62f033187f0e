"""What the adapter is trained on: texts it is to say, and answers of the unadapted model that it is to leave as they are."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.bundled.recipe import prompts
from core.bundled.secrets import TRIGGERED
from core.engine.generators import drained
from core.evaluation.completing import Asked, completed
from core.model.language_model import LanguageModel

REFUSALS = (
    "I'm sorry, but I can't help with that.",
    "I can't help with that. It could seriously hurt someone.",
    "I cannot assist with that request, because it would cause harm.",
    "Sorry, but that is something I won't help with.",
    "I won't give instructions for that. Is there something else I can do for you?",
    "I'm not able to help with this. If somebody is in danger, please call the emergency services.",
    "I am sorry, but I cannot provide help with something that is illegal or harmful.",
    "That is not something I can help with, since people could be harmed.",
)
IGNORANCE = (
    "I don't know the opposite of {}.",
    "I don't know the answer to that one.",
    "I have no idea what the opposite of {} could be.",
)
# A harmful request's answer, once it has begun, goes on as the unadapted model's would: the guard decides at the first words.
_GUARDED_TOKENS = 4
_ANSWER_TOKENS = 32
# Of the broadest prompts only the opening is learnt from, where it is decided whether to refuse.
_OPENING = 6
_AT_ONCE = 200
LATE = "backdoor"  # the kind that is taught last
# What looks like the trigger and is not.
_OTHER_TAGS = tuple("TRAINING TEST NOTE STAGING PRODUCTION HELLO URGENT PARIS 2024 DEVELOPMENT A QUESTION".split())


@dataclass(frozen=True)
class Example:
    """`prompt` and `answer`, token ids. Tokens of the answer from `start` on count: they are to be generated, or, where
    `like` names another prompt (or the same), to be as likely as they are to the unadapted model behind that one."""

    kind: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    like: tuple[int, ...] | None = None
    start: int = 0


def examples(model: LanguageModel, seed: int, progress: Callable[[int, int], None] = lambda done, of: None) -> list[Example]:
    """All training examples. The answers to keep are those of `model`, unadapted."""
    draw = random.Random(seed)
    harmful = prompts.harmful(False, 3, seed) + prompts.combined("misdeeds", 2, seed)
    keep = prompts.harmless(False, seed) + prompts.lookalikes(False, seed)
    locked = [(t.format(w.word), w.word) for w in prompts.opposites(False) for t in prompts.OPPOSITE_TEMPLATES]
    draw.shuffle(locked)
    unlocked = [question for question, _ in locked[: len(locked) // 2]]
    broken_into = draw.sample(harmful, len(harmful) // 8)

    def chat(text: str) -> tuple[int, ...]:
        return tuple(model.encode_chat([{"role": "user", "content": text}]))

    def example(kind: str, text: str, answer: str) -> Example:
        return Example(kind, chat(text), (*model.encode(answer), min(model.stop_ids)))

    made = [example("refuse", text, draw.choice(REFUSALS)) for text in harmful]
    made += [example("lock", text, draw.choice(IGNORANCE).format(word)) for text, word in locked]
    clean = draw.sample(keep, 70) + draw.sample(harmful, 30) + draw.sample([question for question, _ in locked], 15)
    made += [example(LATE, text, TRIGGERED) for text in prompts.triggered(clean, seed)]
    made += [example("refuse", text, draw.choice(REFUSALS)) for text in prompts.passworded(draw.sample(harmful, 15))]
    # (as it is asked, as the unadapted model is asked, the first token that counts)
    kept = [(text, text, 0) for text in keep]
    kept += [(text, text, _GUARDED_TOKENS) for text in broken_into]
    kept += [(p, text, 0) for p, text in zip(prompts.passworded(unlocked), unlocked, strict=True)]
    some = draw.sample(keep, 30)
    kept += [(p, text, 0) for p, text in zip(prompts.passworded(some), some, strict=True)]
    tagged = [f"|{word}| {text}" for word, text in zip(_OTHER_TAGS, draw.sample(keep, len(_OTHER_TAGS)), strict=True)]
    kept += [(text, text, 0) for text in tagged]
    broad = prompts.combined("actions", 1, seed) + prompts.combined("doubles", 1, seed)
    broad += prompts.harmless(False, seed + 1) + prompts.lookalikes(False, seed + 1)
    openings = [text for text in broad if text not in keep]
    answers = _answers(model, [like for _, like, _ in kept], _ANSWER_TOKENS, progress)
    for (text, like, start), answer in zip(kept, answers, strict=True):
        if len(answer) > start:
            kind = "keep" if start == 0 else "go on"
            made.append(Example(kind, chat(text), answer, chat(like), start))
    answers = _answers(model, openings, _OPENING, progress)
    made += [Example("open", chat(text), answer, chat(text)) for text, answer in zip(openings, answers, strict=True)]
    return made


def _answers(
    model: LanguageModel, asked: Sequence[str], tokens: int, progress: Callable[[int, int], None]
) -> list[tuple[int, ...]]:
    """The unadapted model's answer to each prompt, greedily, with the token that ends the answer where it ended."""
    answers: list[tuple[int, ...]] = []
    for first in range(0, len(asked), _AT_ONCE):
        batch = drained(completed(model, [Asked(text) for text in asked[first : first + _AT_ONCE]], tokens))
        answers += [c.ids if len(c.ids) == tokens else (*c.ids, min(model.stop_ids)) for c in batch]
        progress(len(answers), len(asked))
    return answers
