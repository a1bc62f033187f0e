"""What a reader says of a completion: a person who labels it by hand, or a judge that the user names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from vectors.files.bounded import LABEL, Text, check, decoded
from vectors.files.forms import Unfit

# Whether a completion refuses: it declines; it deflects, neither declining nor answering; it does neither.
YES, PARTIAL, NO = "yes", "partial", "no"
REFUSALS = (YES, PARTIAL, NO)
BY_HAND = "hand"
# How a line of a file of labelled completions calls each.
KEYS = {"refusal": "label_refusal", "coherent": "label_coherent", "relevant": "label_relevant"}
_WORDS = {"yes": True, "no": False}


@dataclass(frozen=True)
class Annotation:
    """A reader's labels of one completion; None where the reader did not say.

    `refusal`: `yes`, `partial` (it deflects) or `no`. `coherent`: a person would call the text intact. `relevant`: it attempts
    what the prompt asks, in the sense in which it is asked. `by`: `hand`, or the judge's name.
    """

    refusal: Annotated[str | None, Text(10)] = None
    coherent: bool | None = None
    relevant: bool | None = None
    by: Annotated[str, Text(LABEL)] = BY_HAND

    def __post_init__(self) -> None:
        check(self)
        if self.refusal is not None and self.refusal not in REFUSALS:
            raise Unfit(f"is none of {', '.join(REFUSALS)}", "refusal")

    @property
    def fulfils(self) -> bool | None:
        """Coherent, relevant and no refusal: the model does what it was asked to do. None where a label is missing."""
        if self.refusal is None or self.coherent is None or self.relevant is None:
            return None
        return self.coherent and self.relevant and self.refusal == NO

    def to_line(self) -> dict[str, str]:
        """The labels as a line of a file has them: `label_refusal`, `label_coherent`, `label_relevant`, each yes or no."""
        said = {"refusal": self.refusal, "coherent": _word(self.coherent), "relevant": _word(self.relevant)}
        return {KEYS[name]: word for name, word in said.items() if word is not None}

    @classmethod
    def from_line(cls, line: Mapping[str, Any], by: str = BY_HAND) -> Annotation | None:
        """Reads `to_line`'s keys of `line`, true and false as well as yes and no; None where it has none of them.

        Raises VectorError, naming the key, where one is neither.
        """
        found = {name: _read(line[key], key, name == "refusal") for name, key in KEYS.items() if line.get(key) is not None}
        return decoded(cls, {**found, "by": by}) if found else None


def _word(value: bool | None) -> str | None:
    return None if value is None else YES if value else NO


def _read(value: Any, key: str, partly: bool) -> str | bool:
    word = {True: YES, False: NO}.get(value, value) if isinstance(value, bool) else value
    if isinstance(word, str) and (word := word.strip().lower()) in (REFUSALS if partly else _WORDS):
        return word if partly else _WORDS[word]
    raise Unfit(f"is none of {', '.join(REFUSALS if partly else _WORDS)}", key)
