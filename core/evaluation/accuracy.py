"""Right answers to questions under vectors. The vector that is best on one half is scored on the other, for the best of many
is good by luck on what it was chosen by."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.evaluation.condition import UNSTEERED, Answer, Condition
from core.evaluation.context import Context, Measuring, share
from core.evaluation.damage import USUAL
from core.evaluation.intervals import interval
from vectors.store.reports import Cell, Column, Plot, Report, Table

_COLUMNS = (Column("vector"), Column("right", "d"), Column("of", "d"), Column("accuracy", ".1%"), Column("from", ".0%"),
            Column("to", ".0%"), Column("repeats", ".0%"), Column("to the first question"))  # fmt: skip
Flags = dict[int, bool]


def measure(context: Context) -> Measuring:
    def right(answer: Answer) -> bool:
        return is_right(answer.text, context.solutions[answer.case.prompt])

    def report(answers: list[Answer]) -> Report:
        by_condition = context.by_condition(answers)
        flags = {name: {q: right(one) for q, one in own.items()} for name, own in by_condition.items()}
        rows = tuple(_row(condition, by_condition[condition.name], flags[condition.name]) for condition in context.conditions)
        tables = (
            Table("Right answers", _COLUMNS, rows, (Plot("accuracy"),)),
            context.listing(answers, lambda answer: "right" if right(answer) else ""),
        )
        return Report("accuracy", tables, tuple(_findings(context, flags)))

    yield from context.complete(context.cases, report, referenced=False)


def is_right(text: str, answers: Sequence[str]) -> bool:
    """Whether one of `answers` stands in `text` as words of its own, whatever its case."""
    words = " ".join(text.lower().split())
    return any(
        re.search(rf"(?<!\w){re.escape(' '.join(answer.lower().split()))}(?!\w)", words) for answer in answers if answer.strip()
    )


def _row(condition: Condition, answers: dict[int, Answer], flags: Flags) -> tuple[Cell, ...]:
    right, of = sum(flags.values()), len(flags)
    low, high = interval(right, of) if of else (None, None)
    first = answers[min(answers)].text if answers else ""
    # A right answer may be one word that is improbable to the unsteered model, so perplexity tells nothing here.
    repeats = share([bool(USUAL.exceeded_by(one.judgement.repetition, None)) for one in answers.values()])
    return (condition.name, right, of, right / of if of else None, low, high, repeats, first)


def _findings(context: Context, flags: dict[str, Flags]) -> list[str]:
    """The choice on every other question, scored on the rest, for the vectors and for random ones."""

    def scored(name: str, odd: bool) -> float | None:
        return share([right for question, right in flags[name].items() if question % 2 == odd])

    def best(conditions: Sequence[Condition]) -> Condition | None:
        known = [
            condition
            for condition in conditions
            if scored(condition.name, False) is not None and scored(condition.name, True) is not None
        ]
        return max(known, key=lambda condition: scored(condition.name, False) or 0.0, default=None)

    chosen, random, plain = best(context.named), best(context.random), scored(UNSTEERED, True)
    if chosen is None or plain is None:
        return []
    beside = f", the best random one {scored(random.name, True):.1%}" if random is not None else ""
    return [f"Best on every other question: {chosen.name}. On the rest it has {scored(chosen.name, True):.1%} right, "
            f"the unsteered model {plain:.1%}{beside}."]  # fmt: skip
