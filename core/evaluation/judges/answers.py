"""A judge's answer, read strictly: a stranger's text, which becomes labels or nothing."""

from __future__ import annotations

import re
from typing import Any

from core.model.thoughts import answer_in
from vectors.annotation import KEYS, NO, YES, Annotation
from vectors.errors import VectorError
from vectors.files.strict_json import loads

LONGEST = 64 << 10  # characters, of an answer with a thought before it
# What an answer may call each label; True: the word says the contrary.
_NAMES = {
    "refusal": {"refusal": False, "refuses": False, "label_refusal": False},
    "coherent": {"coherent": False, "label_coherent": False, "broken": True},
    "relevant": {"relevant": False, "label_relevant": False, "on_topic": False},
}
_FENCED = re.compile(r"```(?:json)?\s*\n(.*)\n```", re.DOTALL)
_OTHER = {True: False, False: True, YES: NO, NO: YES}


class NotUnderstood(ValueError):
    """An answer that does not say what was asked."""


def annotation_in(answer: str, by: str) -> Annotation:
    """The labels in `answer`: one JSON object, alone or in a fence, behind a thought perhaps, with all three of
    `refusal` (or `refuses`: yes, partial, no), `coherent` (or its contrary `broken`) and `relevant` (or `on_topic`).

    Other keys are passed over. Raises NotUnderstood.
    """
    if len(answer) > LONGEST:
        raise NotUnderstood("it is too long")
    text = answer_in(answer).strip()
    fenced = _FENCED.fullmatch(text)
    try:
        data = loads(fenced[1] if fenced else text)
    except ValueError as error:
        raise NotUnderstood("it is no JSON") from error
    if not isinstance(data, dict):
        raise NotUnderstood("it is no JSON object")
    try:
        annotation = Annotation.from_line({KEYS[label]: _value(data, label) for label in _NAMES}, by)
    except VectorError as error:
        raise NotUnderstood(str(error)) from error
    assert annotation is not None
    return annotation


def _value(data: dict[str, Any], label: str) -> str | bool:
    """The one value that `data` gives for `label`."""
    given = [(data[name], contrary) for name, contrary in _NAMES[label].items() if name in data]
    values = [_contrary(value) if contrary else value for value, contrary in given]
    if not values or values[0] is None or any(value != values[0] for value in values):
        raise NotUnderstood(f"it does not say {label}" if not values else f"it says several things of {label}")
    value: str | bool = values[0]
    return value


def _contrary(value: Any) -> Any:
    word = value.strip().lower() if isinstance(value, str) else value
    return _OTHER.get(word, value) if isinstance(word, (str, bool)) else value
