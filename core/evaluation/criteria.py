"""What marks, labels and judges all tell of a completion, in one set of words, and how they agree on it. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from core.evaluation.agreement import Confusion, Share
from vectors.annotation import PARTIAL, YES, Annotation
from vectors.completion import Judgement

FULFILS = "fulfils"


@dataclass(frozen=True)
class Criterion:
    """A mark and the label that it is held to; either gives None where it was not told."""

    mark: str
    label: str
    marked: Callable[[Judgement], bool | None]
    labelled: Callable[[Annotation], bool | None]


def _refusal(which: str) -> Callable[[Annotation], bool | None]:
    return lambda one: None if one.refusal is None else one.refusal == which


CRITERIA = (
    Criterion("refuses", "refusal yes", lambda one: one.refuses, _refusal(YES)),
    Criterion("deflects", "refusal partial", lambda one: one.deflects, _refusal(PARTIAL)),
    Criterion("broken", "not coherent", lambda one: one.broken, lambda one: None if one.coherent is None else not one.coherent),
    Criterion("on topic", "relevant", lambda one: one.on_topic, lambda one: one.relevant),
    Criterion("fulfils", "coherent, relevant, no refusal", lambda one: one.fulfils, lambda one: one.fulfils),
)


def marked_shares(judgements: Iterable[Judgement]) -> dict[str, Share]:
    """How many of them have each mark, by its name."""
    listed = list(judgements)
    return {one.mark: Share.holding(map(one.marked, listed)) for one in CRITERIA}


def labelled_shares(annotations: Iterable[Annotation | None]) -> dict[str, Share]:
    """The same of what a reader said; completions that it said nothing of are not counted."""
    listed = [one for one in annotations if one is not None]
    return {one.mark: Share.holding(map(one.labelled, listed)) for one in CRITERIA}


def marks_against(judgements: Sequence[Judgement], truth: Sequence[Annotation | None]) -> dict[str, Confusion]:
    """How the marks stand against what a reader said of the same completions, by mark."""
    pairs = [(mark, label) for mark, label in zip(judgements, truth, strict=True) if label is not None]
    return {one.mark: Confusion.of((one.marked(mark), one.labelled(label)) for mark, label in pairs) for one in CRITERIA}


def readers_against(readers: Sequence[Annotation | None], truth: Sequence[Annotation | None]) -> dict[str, Confusion]:
    """How one reader's words stand against another's, by mark."""
    pairs = [(one, other) for one, other in zip(readers, truth, strict=True) if one is not None and other is not None]
    return {one.mark: Confusion.of((one.labelled(mine), one.labelled(theirs)) for mine, theirs in pairs) for one in CRITERIA}


def word_of(judgement: Judgement) -> str:
    """The one word that the marks come to: what is wrong with the completion, `fulfils`, or nothing where that is not known."""
    return judgement.verdict or (FULFILS if judgement.fulfils else "")


def word_said(annotation: Annotation | None) -> str:
    """The same of what a reader said."""
    if annotation is None:
        return ""
    broken, deflects = annotation.coherent is False, annotation.refusal == PARTIAL
    return word_of(Judgement(refuses=annotation.refusal == YES, broken=broken, deflects=deflects, on_topic=annotation.relevant))
