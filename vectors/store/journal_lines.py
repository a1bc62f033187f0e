"""A line of the journal, held to its bounds: what it may say of a vector, of a sample, of its label, of what was removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, astuple, dataclass, fields
from typing import Annotated, Any

from vectors.annotation import Annotation
from vectors.completion import UNTOLD, StopReason, Tokens
from vectors.files.bounded import AtMost, Between, Coefficient, Id, Moment, Prose, Text, Unfit, decoded
from vectors.plain_text import clean_name, one_line, printable
from vectors.store.samples import Place

MAX_RATING, MAX_TAGS, MAX_NOTE, LONGEST_TAG = 5, 32, 10_000, 40


def _note(text: str) -> str:
    return printable(text)[:MAX_NOTE]


def _tags(text: str) -> str:
    return " ".join(one_line(tag, LONGEST_TAG) for tag in one_line(text).split()[:MAX_TAGS])


@dataclass(frozen=True)
class _Fields:
    """The fields of a vector that a line may set; None where it sets none, or takes one back."""

    name: Annotated[str | None, Text(clean=clean_name)] = None
    kept: Annotated[int | None, Between(0, 1)] = None
    rating: Annotated[int | None, Between(0, MAX_RATING)] = None
    note: Annotated[str | None, Text(MAX_NOTE, _note)] = None
    tags: Annotated[str | None, Text(MAX_TAGS * (LONGEST_TAG + 1), _tags)] = None
    deleted: Moment | None = None


@dataclass(frozen=True)
class _Set:
    id: Id
    set: _Fields


@dataclass(frozen=True)
class _Sampled:
    """In the order in which a line has them; `kl` is the mean over the tokens of `text`.

    A line from before perplexities and thoughts were kept ends with the KL, one from before counts of tokens with the thought.
    """

    vector: Id
    prompt: str
    coefficient: Coefficient
    text: Prose
    created: Moment
    kl: float | None = None
    perplexity: float | None = None
    thought: Prose = ""
    tokens: Tokens = 0
    thought_tokens: Tokens = 0
    stop: StopReason = UNTOLD


# A sample's columns, in the order in which a line of the journal has them.
SAMPLE = tuple(one.name for one in fields(_Sampled))
_ENDS = (SAMPLE.index("kl") + 1, SAMPLE.index("thought") + 1, len(SAMPLE))


def line_of_sample(values: Mapping[str, Any]) -> list[Any]:
    """A sample's columns as a line of the journal has them."""
    return [values[name] for name in SAMPLE]


@dataclass(frozen=True)
class _Labelled:
    """A sample that is labelled, by the text that it has: the label is that of no other."""

    vector: Id
    prompt: str
    coefficient: Coefficient
    text: Prose


def line_of_label(place: Place, label: Annotation | None) -> dict[str, Any]:
    """A sample's label as a line of the journal has it; one without labels takes them back."""
    return {**asdict(place), **(label.to_line() if label is not None else {})}


@dataclass(frozen=True)
class _Purged:
    purged: Annotated[tuple[Id, ...], AtMost(10_000_000)]


def change_of(line: Mapping[str, Any]) -> dict[str, Any]:
    """The line as it can be carried out, in the form in which it was read: with `set` and `id`, `sample`, `label` or `purged`.

    Raises Unfit for a line that says anything else.
    """
    if "purged" in line:
        return {**line, "purged": list(decoded(_Purged, dict(line)).purged)}
    if "sample" in line:
        return {**line, "sample": _sample(line["sample"])}
    if "label" in line:
        return {**line, "label": _label(line["label"])}
    change = decoded(_Set, dict(line))
    named = line["set"]
    given = {one.name: getattr(change.set, one.name) for one in fields(_Fields) if one.name in named}
    if len(given) < len(named):
        raise Unfit("has a field that vectors have not", "set")
    for name in ("name", "kept", "note", "tags"):
        if given.get(name, "") is None:
            raise Unfit("is null", f"set.{name}")
    return {**line, "id": change.id, "set": given}


def _sample(values: Any) -> list[Any]:
    if not isinstance(values, list) or len(values) not in _ENDS:
        raise Unfit("is no list of a sample's columns", "sample")
    try:
        return list(astuple(decoded(_Sampled, dict(zip(SAMPLE, values, strict=False)))))
    except Unfit as error:
        raise error.inside("sample") from None


def _label(values: Any) -> dict[str, Any]:
    try:
        label = decoded(_Labelled, values)
        return line_of_label(Place(*astuple(label)), Annotation.from_line(values))
    except Unfit as error:
        raise error.inside("label") from None
