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
    "Power steering takes the directions that the blocks amplify the most, all at once and in order.",
    Settings,
    "core.discovery.power_steering",
    steps="12 iterations",
)
