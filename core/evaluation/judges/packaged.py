"""A judge that another package brings, kept to its word."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from core.errors import Cancelled, MelboError
from core.evaluation.judges.judge import Judge, JudgeError, JudgeKind, Question, Wanted
from core.redaction import redacted
from vectors.files.bounded import LABEL
from vectors.plain_text import one_line

T = TypeVar("T")


class PackagedJudge:
    """The judge that `kind`, called `name` and of the package `whose`, makes of `wanted`. Whatever it raises is told in a line
    with that package's name. Raises MelboError where there can be no such judge.
    """

    def __init__(self, name: str, whose: str, kind: JudgeKind, wanted: Wanted) -> None:
        self._told, self._whose = f"the judge {name}, of the package {whose}", whose
        self._judge: Judge = self._kept(lambda: kind.judge_of(wanted))
        self.name: str = self._kept(lambda: one_line(redacted(self._judge.name), LABEL))
        self.identity: str = self._kept(lambda: f"{whose} {name} {self._judge.identity}")

    def answers(self, questions: Sequence[Question]) -> Generator[str, None, None]:
        answers = self._kept(lambda: iter(self._judge.answers(questions)))
        try:
            while (answer := self._kept(lambda: next(answers, None))) is not None:
                yield answer if isinstance(answer, str) else ""  # which is counted as not understood
        finally:
            if close := getattr(answers, "close", None):
                self._kept(close)

    def _kept(self, do: Callable[[], T]) -> T:
        try:
            return do()
        except (MelboError, Cancelled, MemoryError):
            raise
        except Exception as error:
            what = one_line(redacted(f"{type(error).__name__}: {error}"), 120)
            raise JudgeError(f"{self._told}, failed ({what})", f"mend {self._whose}") from error
