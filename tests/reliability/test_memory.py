"""What the program takes, it gives back: memory, open files and threads stay what they were after the first time around."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.reliability.sitting import Sitting, Use

MINUTES, MODEL = "MELBO_TUI_SOAK_MINUTES", "MELBO_TUI_SOAK_MODEL"
MOST_GROWTH = 0.05  # of memory, from the end of the first time around
_POOL = min(32, (os.cpu_count() or 1) + 4)  # asyncio's threads for what waits are made as they are needed, up to so many


def _sit(sitting: Sitting, minutes: float, least: int) -> list[Use]:
    """Goes around for so many minutes, and so many times at least; what it took after each."""
    uses, end = [], time.monotonic() + 60 * minutes
    with sitting.terminal:
        while len(uses) < least or time.monotonic() < end:
            sitting.once_around()
            uses.append(sitting.use())
            print(f"after {len(uses)}: {uses[-1]}", flush=True)
    return uses


def _told(what: str, uses: list[Use]) -> None:
    first, last = uses[0], uses[-1]
    growth = last.megabytes / first.megabytes - 1
    memory = f"{first.megabytes:.0f}, {last.megabytes:.0f} MB ({growth:+.1%})"
    print(f"FIGURE | memory after 1 and {len(uses)} times around, {what} | {memory}")
    print(f"FIGURE | open files and threads, the same | {first.files}, {last.files}; {first.threads}, {last.threads}")


def _held(uses: list[Use]) -> None:
    first, last = uses[0], uses[-1]
    assert last.megabytes <= (1 + MOST_GROWTH) * first.megabytes
    assert last.files <= first.files + 1
    assert last.threads <= first.threads + _POOL


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_going_around_a_few_times_takes_no_more_than_once(tmp_path: Path) -> None:
    from tests.tiny_models import save_tiny

    models = tuple((str(save_tiny(tmp_path / name, kind)), name) for name, kind in (("first", "llama"), ("second", "qwen2")))
    sitting = Sitting(tmp_path / "sitting", models)  # type: ignore[arg-type]
    sitting.loaded("first")
    uses = _sit(sitting, 0.2, 2)
    _told("tiny models", uses)
    _held(uses)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_long_sitting_takes_no_more_than_a_short_one(tmp_path: Path) -> None:
    model = os.environ.get(MODEL, "bundled")
    models = ((model, "smollm2 + organism" if model == "bundled" else Path(model).name), ("smollm2", "smollm2 ·"))
    sitting = Sitting(tmp_path, models)
    sitting.loaded(models[0][1])
    uses = _sit(sitting, float(os.environ.get(MINUTES, "30")), 3)
    _told(model, uses)
    _held(uses)
