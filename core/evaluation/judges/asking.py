"""Asks a judge about many completions: what it has answered before is not asked again, and what it answers is kept at once."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass

from core.errors import MelboError
from core.evaluation.judges.answers import NotUnderstood, annotation_in
from core.evaluation.judges.judge import Judge, OutOfStep, Question
from core.evaluation.judges.kept import KeptAnswers
from vectors.annotation import Annotation

_SAVED_EVERY = 5.0  # seconds


@dataclass(frozen=True)
class Judged:
    """What a judge said of each question, in order; None where it could not be told. `asked` counts those that it was asked
    now, each once; `misunderstood` the answers among them that said nothing. `trouble` is what ended it early, or kept its
    answers from being kept.
    """

    by: str
    annotations: tuple[Annotation | None, ...]
    asked: int = 0
    misunderstood: int = 0
    trouble: MelboError | None = None

    @property
    def judged(self) -> int:
        return sum(one is not None for one in self.annotations)


def judged(judge: Judge, questions: Sequence[Question], again: bool = False) -> Generator[tuple[int, int], None, Judged]:
    """Yields (answers, questions that it is asked) as they come; `again`: also those that it has answered before.

    What has been answered is kept also where the generator is closed, or ends with an exception.
    """
    kept = KeptAnswers(judge)
    asked = list(dict.fromkeys(one for one in questions if again or kept.get(one) is None))
    misunderstood = 0
    trouble: MelboError | None = None
    saved = time.monotonic()
    yield 0, len(asked)
    try:
        # Behind the last question too the judge is asked to go on: it may have more to say than it should.
        with closing(judge.answers(asked) if asked else _nothing()) as answers:
            for done, (answer, question) in enumerate(zip(answers, asked, strict=True), start=1):
                try:
                    kept.put(question, annotation_in(answer, judge.name))
                except NotUnderstood:
                    misunderstood += 1
                if time.monotonic() - saved > _SAVED_EVERY:
                    kept.save()
                    saved = time.monotonic()
                yield done, len(asked)
    except OutOfStep as error:
        kept.forget(asked)
        trouble = error
    except MelboError as error:
        trouble = error
    except ValueError:  # zip's
        kept.forget(asked)
        trouble = OutOfStep(f"the judge {judge.name} gives more or fewer answers than it has questions", "mend it")
    finally:
        unkept = kept.save()
    return Judged(judge.name, tuple(map(kept.get, questions)), len(asked), misunderstood, trouble or unkept)


def _nothing() -> Generator[str, None, None]:
    yield from ()
