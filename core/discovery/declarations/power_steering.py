"""What power steering can be told; core/discovery/power_steering.py runs it."""

from __future__ import annotations

from dataclasses import dataclass

from core.discovery.method import Method, Stepping


@dataclass(frozen=True)
class Settings(Stepping):
    """`steps`: iterations of the block (None: 12); each costs three passes over the blocks."""

    steps: int | None = None
    batch: int = 32

    @property
    def step_count(self) -> int:
        return self.steps or 12


METHOD = Method(
    "Power steering takes the top right-singular vectors of the source-to-target Jacobian, in order.",
    Settings,
    "core.discovery.power_steering",
    steps="12 iterations",
)
