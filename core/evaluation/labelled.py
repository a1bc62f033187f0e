"""How often the marks of a completion agree with the labels that a reader gave it. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.evaluation.criteria import marks_against
from core.evaluation.judging import judge
from vectors.store.samples import Sample


@dataclass(frozen=True)
class Agreement:
    """Of `labelled` samples, by mark: how many have it where the reader says so and have it not where not, and of how many."""

    labelled: int
    marks: dict[str, tuple[int, int]]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> Agreement:
        """Counts those of `samples` that are labelled; a mark or a label that is not known counts for nothing."""
        read = [one for one in samples if one.label is not None]
        judged = [judge(one.completion, one.prompt) for one in read]
        tables = marks_against(judged, [one.label for one in read])
        return cls(len(read), {name: (table.tp + table.tn, table.n) for name, table in tables.items() if table.n})

    def __str__(self) -> str:
        """`24 labelled: the marks agree on refuses 24/24, broken 20/24, on topic 19/24`."""
        counts = ", ".join(f"{name} {right}/{of}" for name, (right, of) in self.marks.items())
        return f"{self.labelled} labelled" + (f": the marks agree on {counts}" if counts else "")
