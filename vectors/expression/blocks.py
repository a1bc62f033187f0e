"""At which decoder blocks' outputs a vector acts."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from vectors.expression.error import ExpressionError, shown
from vectors.expression.words import whole_number
from vectors.files.bounded import MAX_BLOCKS


@dataclass(frozen=True)
class Blocks:
    """A set of decoder blocks, from 0: `own`, those at which the vector is kept; `all` of the model; or `first` to `last`."""

    kind: str = "own"
    first: int = 0
    last: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("own", "all", "range"):
            raise ExpressionError(f"{shown(self.kind)} names no blocks; use own, all or I-J")
        if self.kind != "range" and (self.first or self.last):
            raise ExpressionError(f"{self.kind} takes no numbers of blocks")
        if not 0 <= self.first < MAX_BLOCKS or not 0 <= self.last < MAX_BLOCKS:
            raise ExpressionError(f"blocks are numbered from 0 to {MAX_BLOCKS - 1:,}")
        if self.first > self.last:
            raise ExpressionError(f"blocks {self.first}-{self.last} run backwards: write {self.last}-{self.first}")

    @classmethod
    def parse(cls, text: str) -> Blocks:
        """Reads what `str` writes; one number I is I-I. Raises ExpressionError."""
        if text in ("own", "all"):
            return cls(text)
        first, dash, last = text.partition("-")
        low, high = whole_number(first), whole_number(last if dash else first)
        if low is None or high is None:
            raise ExpressionError(f"{shown(text)!r} names no blocks: write all, or the first and the last, as in 5-17")
        return cls("range", low, high)

    def __str__(self) -> str:
        return f"{self.first}-{self.last}" if self.kind == "range" else self.kind

    def includes(self, block: int, own: Container[int]) -> bool:
        """Whether the set has `block`, where the vector is kept at `own`."""
        if self.kind == "range":
            return self.first <= block <= self.last
        return self.kind == "all" or block in own


OWN_BLOCKS = Blocks()
