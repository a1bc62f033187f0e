"""How many different things vectors make the model do: answers by kind, and those that are unlike each other."""

from __future__ import annotations

from itertools import combinations

from core.evaluation.context import NO_ANSWER, UNSTEERED, Answer, Bench, Measuring, Speech
from core.evaluation.fluency import distinct, opening_words, unlikeness
from core.evaluation.kinds import kind_of
from vectors.store.reports import Cell, Column, Report, Table

_KINDS = (Column("kind"), Column("vectors", "d"), Column("share", ".0%"), Column("random", ".0%"), Column("unsteered", "d"),
          Column("for example"))  # fmt: skip
_LIKE = (Column("like it", "d"), Column("first under"), Column("kind"), Column("what the model says"))
REFUSAL, BROKEN = "refusal", "broken"
_NO_BEHAVIOUR = (REFUSAL, BROKEN, NO_ANSWER)


def measure(bench: Bench) -> Measuring:
    def report(answers: list[Answer | None]) -> Report:
        heard = [(speech, one) for speech, one in zip(bench.whole, answers, strict=True) if one is not None]
        own = [(speech, one) for speech, one in heard if speech.subject.term and not speech.subject.random]
        random = [one for speech, one in heard if speech.subject.random]
        plain = [one for speech, one in heard if speech.subject.name == UNSTEERED]
        fluent = [(speech, one) for speech, one in own if kind(one) not in _NO_BEHAVIOUR]
        tables = (
            Table("By kind", _KINDS, _by_kind(own, random, plain)),
            Table("Different ones", _LIKE, _different(fluent)),
            bench.every(bench.whole, answers, lambda speech, answer: kind(answer)),
        )
        return Report("behaviours", tables, tuple(_findings(own, fluent, random)))

    yield from bench.hear(bench.whole, report)


def kind(answer: Answer) -> str:
    """`refusal`, `broken`, `no answer`, or the kind of text."""
    if answer.missing:
        return NO_ANSWER
    return REFUSAL if answer.refuses else BROKEN if answer.broken else kind_of(answer.text)


def _by_kind(own: list[tuple[Speech, Answer]], random: list[Answer], plain: list[Answer]) -> tuple[tuple[Cell, ...], ...]:
    """A row a kind, the most frequent under the vectors first."""
    kinds = [kind(one) for _, one in own]
    others, alone = [kind(one) for one in random], [kind(one) for one in plain]
    listed = sorted({*kinds, *others, *alone}, key=lambda name: (-kinds.count(name), name))
    rows: list[tuple[Cell, ...]] = []
    for name in listed:
        example = next((f"{speech.subject.name}: {one.text}" for speech, one in own if kind(one) == name), "")
        part = kinds.count(name) / len(kinds) if kinds else None
        rows.append(
            (name, kinds.count(name), part, others.count(name) / len(others) if others else None, alone.count(name), example)
        )
    return tuple(rows)


def _different(fluent: list[tuple[Speech, Answer]]) -> tuple[tuple[Cell, ...], ...]:
    """The answers that are unlike all before them, each with how many are like it, the most frequent first."""
    firsts = distinct([one.text for _, one in fluent])
    groups: dict[str, list[tuple[Speech, Answer]]] = {text: [] for text in firsts}
    for speech, one in fluent:
        nearest = min(firsts, key=lambda text: unlikeness(opening_words(text), opening_words(one.text)), default=None)
        if nearest is not None:
            groups[nearest].append((speech, one))
    listed = sorted(((text, members) for text, members in groups.items() if members), key=lambda pair: -len(pair[1]))
    return tuple((len(members), members[0][0].subject.name, kind(members[0][1]), text) for text, members in listed)


def _findings(own: list[tuple[Speech, Answer]], fluent: list[tuple[Speech, Answer]], random: list[Answer]) -> list[str]:
    texts = [one.text for _, one in fluent]
    controls = [one.text for one in random if kind(one) not in _NO_BEHAVIOUR]
    beside = f"Under random vectors: {len(controls)} of {len(random)}, {len(distinct(controls))} differ."
    own_ones = f"{len(texts)} of {len(own)} answers under the vectors are neither refused nor broken"
    found = [f"{own_ones}; {len(distinct(texts))} of them differ. {beside}"]
    pairs = [unlikeness(opening_words(a), opening_words(b)) for a, b in combinations(texts[:200], 2)]
    if pairs:
        found.append(f"Diversity: two of those share {1 - sum(pairs) / len(pairs):.0%} of their first words in the mean.")
    return found
