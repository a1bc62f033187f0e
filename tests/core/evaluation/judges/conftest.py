from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from core.evaluation.judges import judge_of
from core.evaluation.judges.asking import Judged, judged
from core.evaluation.judges.judge import Question, Wanted

Ask = Callable[..., Judged]
QUESTIONS = tuple(Question("How?", f"Step {i}: take it.") for i in range(3))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def ask() -> Ask:
    """Asks the judge of these words about questions, to the end."""

    def asked(what: str, questions: Sequence[Question] = QUESTIONS, again: bool = False, seconds: float = 20.0) -> Judged:
        steps = judged(judge_of(Wanted(what, None, seconds)), questions, again)
        while True:
            try:
                next(steps)
            except StopIteration as stop:
                found: Judged = stop.value
                return found

    return asked
