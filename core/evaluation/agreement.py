"""How often something holds, and how often two readers of the same completions agree, with 95% intervals. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from core.evaluation.intervals import interval


@dataclass(frozen=True)
class Share:
    """`count` of `of`."""

    count: int
    of: int

    @classmethod
    def holding(cls, flags: Iterable[bool | None]) -> Share:
        """How many of `flags` hold, of those that are known."""
        known = [flag for flag in flags if flag is not None]
        return cls(sum(known), len(known))

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.count / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval of `value` (Wilson); None of nothing."""
        return interval(self.count, self.of) if self.of else None

    def to_json(self) -> dict[str, Any]:
        low, high = self.interval or (None, None)
        return {"count": self.count, "of": self.of, "share": self.value, "low": low, "high": high}


@dataclass(frozen=True)
class Confusion:
    """How a mark stands against what it is held to: true and false positives and negatives, as counts."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    tn: int = 0

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool | None, bool | None]]) -> Confusion:
        """Counts pairs of (mark, truth); one of which either is None is left out."""
        known = [pair for pair in pairs if None not in pair]
        return cls(
            known.count((True, True)), known.count((True, False)), known.count((False, True)), known.count((False, False))
        )

    @property
    def n(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def precision(self) -> Share:
        """Of what is marked, how much is so."""
        return Share(self.tp, self.tp + self.fp)

    @property
    def recall(self) -> Share:
        """Of what is so, how much is marked."""
        return Share(self.tp, self.tp + self.fn)

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, **asdict(self), "precision": self.precision.to_json(), "recall": self.recall.to_json()}
