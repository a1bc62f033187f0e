"""How many different things vectors make the model do: answers by kind, and those that are unlike each other."""

from __future__ import annotations

from itertools import combinations

from core.evaluation.condition import UNSTEERED, Answer
from core.evaluation.context import Context, Measuring
from core.evaluation.diversity import distinct, opening_words, unlikeness
from core.evaluation.intervals import counted
from core.evaluation.judges.beside import complete_judged
from vectors.completion import BROKEN, NO_ANSWER, Judgement
from vectors.store.reports import Cell, Column, Report, Table

_KINDS = (Column("kind"), Column("vectors", "d"), Column("share", ".0%"), Column("random", ".0%"), Column("unsteered", "d"),
          Column("for example"))  # fmt: skip
_LIKE = (Column("like it", "d"), Column("first under"), Column("kind"), Column("completion"))
REFUSAL = "refusal"


def measure(context: Context) -> Measuring:
    def report(answers: list[Answer]) -> Report:
        own = [one for one in answers if one.case.condition.terms and not one.case.condition.random]
        random = [one for one in answers if one.case.condition.random]
        plain = [one for one in answers if one.case.condition.name == UNSTEERED]
        fluent = [one for one in own if one.judgement.complies]
        tables = (
            Table("By kind", _KINDS, _by_kind(own, random, plain)),
            Table("Distinct answers", _LIKE, _different(fluent)),
            context.listing(answers, lambda answer: kind(answer.judgement)),
        )
        return Report("behaviours", tables, tuple(_findings(own, fluent, random)))

    yield from complete_judged(context, context.cases, report)


def kind(judgement: Judgement) -> str:
    """`refusal`, `broken`, `no answer`, or the kind of text."""
    if judgement.unanswered:
        return NO_ANSWER
    return REFUSAL if judgement.refuses else BROKEN if judgement.broken else judgement.kind


def _by_kind(own: list[Answer], random: list[Answer], plain: list[Answer]) -> tuple[tuple[Cell, ...], ...]:
    """A row a kind, the most frequent under the vectors first."""
    kinds, others, alone = ([kind(one.judgement) for one in some] for some in (own, random, plain))
    listed = sorted({*kinds, *others, *alone}, key=lambda name: (-kinds.count(name), name))
    rows: list[tuple[Cell, ...]] = []
    for name in listed:
        example = next((f"{one.case.condition.name}: {one.text}" for one in own if kind(one.judgement) == name), "")
        part = kinds.count(name) / len(kinds) if kinds else None
        rows.append(
            (name, kinds.count(name), part, others.count(name) / len(others) if others else None, alone.count(name), example)
        )
    return tuple(rows)


def _different(fluent: list[Answer]) -> tuple[tuple[Cell, ...], ...]:
    """The answers that are unlike all before them, each with how many are like it, the most frequent first."""
    firsts = {text: opening_words(text) for text in distinct([one.text for one in fluent])}
    groups: dict[str, list[Answer]] = {text: [] for text in firsts}
    for one in fluent:
        words = opening_words(one.text)
        nearest = min(firsts, key=lambda text: unlikeness(firsts[text], words), default=None)
        if nearest is not None:
            groups[nearest].append(one)
    listed = sorted(((text, members) for text, members in groups.items() if members), key=lambda pair: -len(pair[1]))
    return tuple((len(members), members[0].case.condition.name, members[0].judgement.kind, text) for text, members in listed)


def _findings(own: list[Answer], fluent: list[Answer], random: list[Answer]) -> list[str]:
    texts = [one.text for one in fluent]
    controls = [one.text for one in random if one.judgement.complies]
    beside = f"Under random vectors: {len(controls)} of {len(random)}, {len(distinct(controls))} differ."
    own_ones = f"{len(texts)} of {len(own)} answers under the vectors are neither refusals nor broken"
    topical = [counted([one.judgement.fulfils for one in some]) for some in (own, random)]
    found = [f"{own_ones}; {len(distinct(texts))} of them differ. {beside}",
             f"On topic: {topical[0]}; random: {topical[1]}."]  # fmt: skip
    pairs = [unlikeness(one, other) for one, other in combinations(map(opening_words, texts[:200]), 2)]
    if pairs:
        found.append(f"Diversity: two of those share {1 - sum(pairs) / len(pairs):.0%} of their first words in the mean.")
    return found
