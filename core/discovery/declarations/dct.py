"""What deep causal transcoding can be told; core/discovery/dct.py runs it."""

from __future__ import annotations

from dataclasses import dataclass

from core.discovery.method import Method, Stepping


@dataclass(frozen=True)
class Settings(Stepping):
    """`steps`: iterations over all factors (None: 10). `batch`: how many factors run at once."""

    steps: int | None = None
    batch: int = 8

    @property
    def step_count(self) -> int:
        return self.steps or 10


METHOD = Method(
    "DCT trains hundreds of factors of the source-to-target map at once, and ranks them.",
    Settings,
    "core.discovery.dct",
    vectors=64,
    steps="10 iterations",
)
