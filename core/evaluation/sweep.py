"""The dose: what vectors do at several multiples of themselves, and up to which of them the text holds."""

from __future__ import annotations

from collections.abc import Sequence

from core.evaluation.context import RANDOM, UNSTEERED, Answer, Bench, Measuring, Speech, Subject, mean, share
from vectors.store.reports import Cell, Column, Plot, Report, Table

_COLUMNS = (Column("vector"), Column("times", "g"), Column("norm", ".3g"), Column("refuses", ".0%"), Column("broken", ".0%"),
            Column("KL", ".2f"), Column("perplexity", ".1f"), Column("what the model says"))  # fmt: skip


_PLOTS = tuple(Plot(name, "times", "vector") for name in ("KL", "perplexity", "refuses", "broken"))


def measure(bench: Bench) -> Measuring:
    doses = sorted(set(bench.settings.coefficients))
    prompts = range(len(bench.prompts))
    speeches = [Speech(Subject(UNSTEERED), prompt) for prompt in prompts]
    speeches += [Speech(subject, prompt, dose) for dose in doses for subject in bench.subjects[1:] for prompt in prompts]

    def report(answers: list[Answer | None]) -> Report:
        groups: dict[tuple[str, float], list[Answer]] = {}
        norms: dict[str, float | None] = {}
        for speech, answer in zip(speeches, answers, strict=True):
            name = RANDOM if speech.subject.random else speech.subject.name
            norms[name] = speech.subject.norm
            if answer is not None:
                groups.setdefault((name, speech.times), []).append(answer)
        rows = [_row(UNSTEERED, None, None, groups.get((UNSTEERED, 1.0), []))]
        for name in [*dict.fromkeys(s.subject.name for s in speeches if s.subject.term and not s.subject.random), RANDOM]:
            if name in norms:
                rows += [_row(name, dose, norms[name], groups[name, dose]) for dose in doses if (name, dose) in groups]
        tables = (Table("By dose", _COLUMNS, tuple(rows), _PLOTS), bench.every(speeches, answers))
        return Report("sweep", tables if len(prompts) > 1 else tables[:1], tuple(_holds(bench, doses, groups)))

    yield from bench.hear(speeches, report)


def _row(name: str, dose: float | None, norm: float | None, answers: list[Answer]) -> tuple[Cell, ...]:
    whole = None if norm is None or dose is None else abs(dose) * norm
    facts = (share([one.refuses for one in answers]), share([one.broken for one in answers]))
    damage = (mean([one.kl for one in answers]), mean([one.perplexity for one in answers]))
    return (name, dose, whole, *facts, *damage, answers[0].text if answers else "")


def _holds(bench: Bench, doses: Sequence[float], groups: dict[tuple[str, float], list[Answer]]) -> list[str]:
    """For each vector, between which doses no answer is broken, going out from nothing."""
    found = []
    for subject in bench.named:
        ends = []
        for side in ([dose for dose in reversed(doses) if dose < 0], [dose for dose in doses if dose > 0]):
            held = 0.0
            for dose in side:
                answers = groups.get((subject.name, dose))
                if not answers or any(one.broken for one in answers):
                    break
                held = dose
            ends.append(held)
        found.append(f"{subject.name}: the text holds from {ends[0]:g} to {ends[1]:g}.")
    return found
