"""The library's filter language: words, `field:text` and `field>number`, all of which must hold; `-` before one negates it.

bomb tag:code model:qwen norm>5 rating>=3 -method:random is:kept

Of a vector over many blocks `block:7` finds any of them; `block>=7` compares the first.
"""

from __future__ import annotations

import operator
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vectors.store.curation import Sample
from vectors.store.library import Kept, Library
from vectors.vector import VectorError

Test = Callable[["Line"], bool]


@dataclass(frozen=True, slots=True)
class Line:
    """A vector as it stands in a list: what the library knows of it, and the sample that is shown, None where it has none."""

    entry: Kept
    sample: str | None = None
    kl: float | None = None
    labelled: bool = False  # whether a reader has labelled any of its samples
    text: str = ""  # everything that words are looked for in, in lower case

    @classmethod
    def of(cls, entry: Kept, sample: Sample | None, labelled: bool = False) -> Line:
        text = sample.completion.text if sample is not None else None
        words = (entry.name, entry.model, entry.method, entry.prompt, entry.note, " ".join(entry.tags), text or "")
        return cls(entry, text, sample.completion.mean_kl if sample is not None else None, labelled, "\n".join(words).lower())


def lines_of(library: Library, entries: Sequence[Kept]) -> list[Line]:
    """A line for each of `entries`, vectors of `library`, in their order."""
    samples, labelled = library.first_samples(), library.labelled()
    return [Line.of(entry, samples.get(entry.id), entry.id in labelled) for entry in entries]


_TEXTS: dict[str, Callable[[Line], str]] = {
    "name": lambda line: line.entry.name,
    "model": lambda line: line.entry.model,
    "method": lambda line: line.entry.method,
    "prompt": lambda line: line.entry.prompt,
    "note": lambda line: line.entry.note,
    "run": lambda line: line.entry.run,
    "id": lambda line: line.entry.id,
    "sample": lambda line: line.sample or "",
}
_NUMBERS: dict[str, Callable[[Line], float | None]] = {
    "norm": lambda line: line.entry.norm,
    "rating": lambda line: line.entry.rating,
    "block": lambda line: line.entry.block,
    "kl": lambda line: line.kl,
    "days": lambda line: (time.time() - line.entry.created) / 86400,
}
IS: dict[str, Test] = {
    "kept": lambda line: line.entry.kept,
    "mixture": lambda line: line.entry.method == "mixture",
    "rated": lambda line: line.entry.rating is not None,
    "tagged": lambda line: bool(line.entry.tags),
    "noted": lambda line: bool(line.entry.note),
    "labelled": lambda line: line.labelled,
}
_COMPARISONS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt, "=": operator.eq, ":": operator.eq}
FIELDS = ("tag", "is", *_TEXTS, *_NUMBERS)


def parse(text: str) -> Test:
    """The test that `text` stands for; nothing stands for everything. Raises VectorError for what it cannot mean."""
    try:
        words = shlex.split(text)
    except ValueError:  # a quotation mark that is still open while one types
        words = text.replace('"', " ").replace("'", " ").split()
    tests = [_negated(word[1:]) if word.startswith("-") and len(word) > 1 else _test(word) for word in words]
    return lambda line: all(test(line) for test in tests)


def chosen(lines: Sequence[Line], text: str) -> list[Line]:
    """The lines that `text` lets through, in their order."""
    test = parse(text)
    return [line for line in lines if test(line)] if text.strip() else list(lines)


def _negated(word: str) -> Test:
    test = _test(word)
    return lambda line: not test(line)


def _test(word: str) -> Test:
    for sign, compare in _COMPARISONS.items():
        field, found, value = word.partition(sign)
        if found and field.lower() in FIELDS:
            return _of_field(field.lower(), sign, compare, value)
    # A word with a colon may be meant as a field, but it may also be a part of a name or an answer.
    wanted = word.lower()
    return lambda line: wanted in line.text


def _of_field(field: str, sign: str, compare: Callable[[Any, Any], bool], value: str) -> Test:
    wanted = value.lower()
    if field in _NUMBERS:
        of_number = _NUMBERS[field]
        try:
            limit = float(value)
        except ValueError:
            if not value:
                return lambda line: True  # still being typed
            raise VectorError(f"{field} is compared with a number, not with {value!r}") from None
        if field == "block" and sign in (":", "="):
            return lambda line: limit in line.entry.blocks
        return lambda line: (number := of_number(line)) is not None and compare(number, limit)
    if sign not in (":", "="):
        raise VectorError(f"{field} is a text: write {field}:{value}")
    if field == "tag":
        return lambda line: any(tag.startswith(wanted) for tag in line.entry.tags)
    if field == "is":
        fitting = [test for name, test in IS.items() if name.startswith(wanted)]
        if not fitting:
            raise VectorError(f"is: knows {', '.join(IS)}, not {value!r}")
        return fitting[0] if wanted else lambda line: True
    of_text = _TEXTS[field]
    return lambda line: wanted in of_text(line).lower()


SORTS: Mapping[str, Callable[[Line], Any]] = {
    "name": lambda line: line.entry.name.lower(),
    "model": lambda line: line.entry.model.lower(),
    "method": lambda line: line.entry.method,
    "block": lambda line: line.entry.block,
    "norm": lambda line: line.entry.norm,
    "kl": lambda line: line.kl if line.kl is not None else float("inf"),
    "rating": lambda line: -(line.entry.rating if line.entry.rating is not None else -1),
    "tags": lambda line: line.entry.tags or ("\uffff",),
    "age": lambda line: -line.entry.created,
    "sample": lambda line: (line.sample or "").lower() or "\uffff",
}


def ordered(lines: Sequence[Line], by: str, backwards: bool = False) -> list[Line]:
    """`lines` sorted by one of SORTS; equal ones keep their order. Raises VectorError for an unknown one."""
    if by not in SORTS:
        raise VectorError(f"cannot sort by {by!r}; use one of: {', '.join(SORTS)}")
    return sorted(lines, key=SORTS[by], reverse=backwards)
