"""How often the marks of a completion agree with the labels that a reader gave it. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.evaluation.judging import judge
from vectors.annotation import YES, Annotation
from vectors.completion import Judgement
from vectors.store.samples import Sample

# What a judgement marks, and whether the reader says so; None where that was not said.
_MARKS: dict[str, tuple[Callable[[Judgement], bool | None], Callable[[Annotation], bool | None]]] = {
    "refuses": (lambda marks: marks.refuses, lambda label: None if label.refusal is None else label.refusal == YES),
    "broken": (lambda marks: marks.broken, lambda label: None if label.coherent is None else not label.coherent),
}


@dataclass(frozen=True)
class Agreement:
    """Of `labelled` samples, by mark: how many have it where the reader says so and have it not where not, and of how many."""

    labelled: int
    marks: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Agreement:
        """Counts those of `samples` that are labelled; a mark or a label that is not known counts for nothing."""
        read = [(judge(sample.completion), sample.label) for sample in samples if sample.label is not None]
        marks = {}
        for name, (marked, said) in _MARKS.items():
            pairs = [(marked(judgement), said(label)) for judgement, label in read]
            known = [mark == truth for mark, truth in pairs if mark is not None and truth is not None]
            if known:
                marks[name] = sum(known), len(known)
        return cls(len(read), marks)

    def __str__(self) -> str:
        """`24 labelled: the marks agree on refuses 24/24, broken 20/24`."""
        counts = ", ".join(f"{name} {right}/{of}" for name, (right, of) in self.marks.items())
        return f"{self.labelled} labelled" + (f": the marks agree on {counts}" if counts else "")
