"""Right answers to questions under vectors. The vector that is best on one half is scored on the other, for the best of many
is good by luck on what it was chosen by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from math import sqrt

from core.evaluation.context import UNSTEERED, Answer, Bench, Measuring, Subject, share
from core.evaluation.damage import is_broken
from vectors.store.reports import Cell, Column, Plot, Report, Table

_COLUMNS = (Column("vector"), Column("right", "d"), Column("of", "d"), Column("accuracy", ".1%"), Column("from", ".0%"),
            Column("to", ".0%"), Column("repeats", ".0%"), Column("to the first question"))  # fmt: skip
Flags = dict[int, bool]


def measure(bench: Bench) -> Measuring:
    def report(answers: list[Answer | None]) -> Report:
        heard = bench.by_subject(answers)
        flags = {name: {q: is_right(one.text, bench.answers[q]) for q, one in said.items()} for name, said in heard.items()}
        rows = tuple(_row(subject, heard[subject.name], flags[subject.name]) for subject in bench.subjects)
        told = bench.every(bench.whole, answers, lambda one, said: "right" if flags[one.subject.name][one.prompt] else "")
        return Report(
            "accuracy", (Table("Right answers", _COLUMNS, rows, (Plot("accuracy"),)), told), tuple(_findings(bench, flags))
        )

    yield from bench.hear(bench.whole, report, watched=False)


def is_right(text: str, answers: Sequence[str]) -> bool:
    """Whether one of `answers` stands in `text` as words of its own, whatever its case."""
    said = " ".join(text.lower().split())
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(answer.lower().split()))}(?!\w)", said) for answer in answers if answer.strip()
    )


def interval(right: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson)."""
    z = 1.96
    middle, spread = (right + z * z / 2) / (of + z * z), z / (of + z * z) * sqrt(right * (of - right) / of + z * z / 4)
    return max(middle - spread, 0.0), min(middle + spread, 1.0)


def _row(subject: Subject, heard: dict[int, Answer], flags: Flags) -> tuple[Cell, ...]:
    right, of = sum(flags.values()), len(flags)
    low, high = interval(right, of) if of else (None, None)
    first = heard[min(heard)].text if heard else ""
    # A right answer may be one word that the unsteered model would never have said, so perplexity tells nothing here.
    repeats = share([is_broken(one.text, None) for one in heard.values()])
    return (subject.name, right, of, right / of if of else None, low, high, repeats, first)


def _findings(bench: Bench, flags: dict[str, Flags]) -> list[str]:
    """The choice on every other question, scored on the rest, for the vectors and for random ones."""

    def scored(name: str, odd: bool) -> float | None:
        return share([right for question, right in flags[name].items() if question % 2 == odd])

    def best(subjects: Sequence[Subject]) -> Subject | None:
        known = [
            subject
            for subject in subjects
            if scored(subject.name, False) is not None and scored(subject.name, True) is not None
        ]
        return max(known, key=lambda subject: scored(subject.name, False) or 0.0, default=None)

    chosen, random, plain = best(bench.named), best(bench.random), scored(UNSTEERED, True)
    if chosen is None or plain is None:
        return []
    beside = f", the best random one {scored(random.name, True):.1%}" if random is not None else ""
    return [f"Best on every other question: {chosen.name}. On the rest it has {scored(chosen.name, True):.1%} right, "
            f"the unsteered model {plain:.1%}{beside}."]  # fmt: skip
