"""A thinking model's thought, told from its answer by the marks that its chat template or its tokenizer knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Marks:
    """What a thought begins and ends with, as text. `scaffold`: a pattern of what else in it is no word of the thought."""

    open: str
    close: str
    scaffold: str = ""


# Harmony (gpt-oss): every message names its channel, and only the one called `final` is the answer.
_HARMONY = Marks(
    "<|channel|>",
    "<|channel|>final<|message|>",
    r"(<\|start\|>\w+)?<\|channel\|>[^<]*(<\|constrain\|>[^<]*)?(<\|message\|>)?|<\|end\|>(<\|start\|>\w+$)?",
)
_MARKS = (
    _HARMONY,
    Marks("<|channel>thought", "<channel|>"),  # Gemma 4
    Marks("[THINK]", "[/THINK]"),  # Mistral
    Marks("<|START_THINKING|>", "<|END_THINKING|>"),  # Cohere
    Marks("<|begin_of_thought|>", "<|end_of_thought|>"),
    Marks("<|inner_prefix|>", "<|inner_suffix|>"),  # Apertus
    Marks("◁think▷", "◁/think▷"),  # Kimi
)
_TAG = r"((?:[\w-]+:)?(?:think|thinking|thought|thoughts|reasoning))>"
_OPENING_TAG, _CLOSING_TAG = re.compile("<" + _TAG), re.compile("</" + _TAG)


def marks_in(texts: Iterable[str]) -> Marks | None:
    """The marks that a model's template and tokens, `texts`, spell; None for a model that does not think."""
    known = "\n".join(texts)
    for marks in _MARKS:
        if marks.close in known:
            return marks
    tag = _CLOSING_TAG.search(known)
    return Marks(f"<{tag[1]}>", tag[0]) if tag else None


def split(text: str, marks: Marks | None, opened: bool = False) -> tuple[str | None, str | None]:
    """The thought and the answer in what a model has written so far; `opened`: its prompt ended within a thought.

    No thought is None; so is the answer while none has begun. Both are None while the text may yet become either.
    """
    if marks is None:
        return None, text
    begun = text.lstrip()
    if not opened and not begun.startswith(marks.open):
        return (None, None) if marks.open.startswith(begun) else (None, text)
    thought, closed, answer = text.partition(marks.close)
    if not closed:  # its end may be half written
        thought = next((thought[:-n] for n in range(len(marks.close) - 1, 0, -1) if thought.endswith(marks.close[:n])), thought)
    words = re.sub(marks.scaffold, "\n", thought) if marks.scaffold else thought.lstrip().removeprefix(marks.open)
    return words.strip(), answer.lstrip() if closed else None


def answer_in(text: str) -> str:
    """The answer in a text of which nothing else is known, so that any model's marks count; empty while none has begun.

    A thought that its prompt opened shows by its end alone.
    """
    marks = marks_in([text])
    if marks is not None:
        return split(text, marks, opened=not text.lstrip().startswith(marks.open))[1] or ""
    begun = text.lstrip()
    unfinished = _OPENING_TAG.match(begun) or any(begun.startswith(known.open) for known in _MARKS)
    return "" if unfinished else text


class Thinking:
    """Follows one completion, token by token, over the end of its thought.

    `decode` spells token ids with the marks among them. `tokens`: how many of the completion's ids are the thought's.
    `thinking`: no answer has begun.
    """

    def __init__(self, marks: Marks | None, prompt_end: str, decode: Callable[[Sequence[int]], str]) -> None:
        """`prompt_end`: what the prompt's last tokens spell."""
        self._marks, self._decode = marks, decode
        self._opened = marks is not None and prompt_end.rstrip().endswith(marks.open)
        self.thinking = marks is not None
        self.thought: str | None = "" if self._opened else None
        self.tokens = 0

    def follow(self, ids: Sequence[int], ended: bool = False) -> None:
        """Takes in the completion's `ids` so far; to be called after every token. `ended`: the model ended its turn."""
        if not self.thinking:
            return
        self.thought, answer = split(self._decode(ids), self._marks, self._opened)
        self.thinking = answer is None and not (ended and self.thought is None)
        self.tokens = len(ids) if self.thought is not None else 0

    def is_full(self, ids: int, answer_tokens: int, thought_tokens: int) -> bool:
        """Whether a completion of `ids` tokens has as many as it may: of the answer, or of a thought that has not ended."""
        return ids >= thought_tokens if self.thinking else ids - self.tokens >= answer_tokens
