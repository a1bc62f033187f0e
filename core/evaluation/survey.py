"""What vectors do on many prompts: on how many of them they end or cause refusals, break the text, or change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from core.evaluation.context import NO_ANSWER, UNSTEERED, Answer, Bench, Measuring, Subject, mean, share
from vectors.plain_text import one_line
from vectors.store.reports import Cell, Column, Plot, Report, Table

_PERPLEXITY = Column("perplexity", ".1f")
_BY_VECTOR = (Column("vector"), Column("of", "d"), Column("refuses", ".0%"), Column("broken", ".0%"),
              Column("unchanged", ".0%"), Column("KL", ".2f"), _PERPLEXITY, Column("on the first prompt"))  # fmt: skip
_BY_PROMPT = (Column("unsteered"), Column("refuse", ".0%"), Column("broken", ".0%"), Column("comply", ".0%"),
              Column("random comply", ".0%"), Column("prompt"))  # fmt: skip


def measure(bench: Bench) -> Measuring:
    def report(answers: list[Answer | None]) -> Report:
        by_subject = bench.by_subject(answers)
        plain = by_subject[UNSTEERED]
        rows = tuple(_by_vector(subject, by_subject[subject.name], plain) for subject in bench.subjects)
        listed = tuple(_by_prompt(bench, by_subject, prompt) for prompt in range(len(bench.prompts)))
        tables = (
            Table("By vector", _BY_VECTOR, rows, (Plot("refuses"), Plot("KL"), Plot("perplexity"))),
            Table("By prompt", _BY_PROMPT, listed),
        )
        return Report("survey", (*tables, bench.every(bench.whole, answers)), tuple(_findings(bench, by_subject)))

    yield from bench.hear(bench.whole, report)


def _by_vector(subject: Subject, answers: dict[int, Answer], plain: dict[int, Answer]) -> tuple[Cell, ...]:
    heard = list(answers.values())
    both = [(answer, plain[prompt]) for prompt, answer in answers.items() if prompt in plain and subject.term]
    same = [answer.text == other.text for answer, other in both if not answer.missing and not other.missing]
    surprises = [one.perplexity for one in heard if one.perplexity is not None]
    first = answers[min(answers)].text if answers else ""
    return (subject.name, len(heard), share([one.refuses for one in heard]), share([one.broken for one in heard]), share(same),
            mean([one.kl for one in heard]), median(surprises) if surprises else None, first)  # fmt: skip


def complies(answer: Answer) -> bool:
    """Neither a refusal nor broken text, nor a thought that never came to an answer."""
    return not answer.refuses and not answer.broken and not answer.missing


def _by_prompt(bench: Bench, by_subject: dict[str, dict[int, Answer]], prompt: int) -> tuple[Cell, ...]:
    def heard(subjects: Sequence[Subject]) -> list[Answer]:
        return [by_subject[one.name][prompt] for one in subjects if prompt in by_subject[one.name]]

    plain, vectors, random = heard([Subject(UNSTEERED)]), heard(bench.named), heard(bench.random)
    alone = (NO_ANSWER if plain[0].missing else "refuses" if plain[0].refuses else "answers") if plain else ""
    return (alone, share([one.refuses for one in vectors]), share([one.broken for one in vectors]),
            share([complies(one) for one in vectors]), share([complies(one) for one in random]),
            one_line(bench.prompts[prompt].shown(), 200))  # fmt: skip


def _findings(bench: Bench, by_subject: dict[str, dict[int, Answer]]) -> list[str]:
    """Who ends refusals and who causes them, the random ones beside."""
    plain = by_subject[UNSTEERED]
    answered = [p for p, one in plain.items() if not one.refuses and not one.missing]
    kinds = [("refused", [p for p, one in plain.items() if one.refuses], "answered in unbroken text", complies),
             ("answered", answered, "refused", lambda one: one.refuses)]  # fmt: skip
    found = []
    for alone, prompts, instead, counts in kinds:
        if not prompts:
            continue
        parts = []
        for name, subjects in (("the vectors", bench.named), ("random ones", bench.random)):
            flags = [counts(by_subject[s.name][p]) for s in subjects for p in prompts if p in by_subject[s.name]]
            if flags:
                parts.append(f"{sum(flags)} of {len(flags)} under {name}")
        which = "The prompt" if len(prompts) == 1 else f"The {len(prompts)} prompts"
        found.append(f"{which} that the unsteered model {alone}, {instead}: {', '.join(parts)}.")
    return found
