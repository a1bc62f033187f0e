"""What vectors do at several coefficients, and up to which of them the text is not broken."""

from __future__ import annotations

from collections.abc import Sequence

from core.evaluation.condition import RANDOM, UNSTEERED, Answer, Case, Condition
from core.evaluation.context import Context, Measuring, mean, share
from vectors.store.reports import Cell, Column, Plot, Report, Table

_COLUMNS = (Column("vector"), Column("coef", "g"), Column("norm", ".3g"), Column("refuses", ".0%"), Column("broken", ".0%"),
            Column("on topic", ".0%"), Column("KL", ".2f"), Column("perplexity", ".1f"), Column("completion"))  # fmt: skip
Groups = dict[tuple[str, float], list[Answer]]  # by the name of the condition and the coefficient
_PLOTS = tuple(Plot(name, "coef", "vector") for name in ("KL", "perplexity", "refuses", "broken", "on topic"))


def measure(context: Context) -> Measuring:
    coefficients = sorted(set(context.settings.coefficients))
    prompts = range(len(context.prompts))
    steered = context.conditions[1:]
    cases = [Case(Condition(UNSTEERED), prompt) for prompt in prompts]
    cases += [Case(condition, prompt, c) for c in coefficients for condition in steered for prompt in prompts]
    norms = {condition.name: condition.norm for condition in context.named}
    if context.random:  # of several norms, where the vectors are at several places: then the mean, as of all else
        norms[RANDOM] = mean([condition.norm for condition in context.random])

    def report(answers: list[Answer]) -> Report:
        groups: Groups = {}
        for answer in answers:
            groups.setdefault((_name(answer.case.condition), answer.case.coefficient), []).append(answer)
        rows = [_row(UNSTEERED, None, None, groups.get((UNSTEERED, 1.0), []))]
        for name, norm in norms.items():
            rows += [_row(name, c, norm, groups[name, c]) for c in coefficients if (name, c) in groups]
        tables = (Table("By coefficient", _COLUMNS, tuple(rows), _PLOTS), context.listing(answers))
        return Report("sweep", tables if len(prompts) > 1 else tables[:1], tuple(_unbroken(context, coefficients, groups)))

    yield from context.complete(cases, report)


def _name(condition: Condition) -> str:
    """What the condition's rows are called: the random controls share theirs."""
    return RANDOM if condition.random else condition.name


def _row(name: str, coefficient: float | None, norm: float | None, answers: list[Answer]) -> tuple[Cell, ...]:
    whole = None if norm is None or coefficient is None else abs(coefficient) * norm
    judged = [one.judgement for one in answers]
    marks = tuple(share(flags) for flags in ([one.refuses for one in judged], [one.broken for one in judged],
                                             [one.fulfils for one in judged]))  # fmt: skip
    damage = (mean([one.completion.mean_kl for one in answers]), mean([one.completion.perplexity for one in answers]))
    return (name, coefficient, whole, *marks, *damage, answers[0].text if answers else "")


def _unbroken(context: Context, coefficients: Sequence[float], groups: Groups) -> list[str]:
    """For each vector, between which coefficients no completion is broken, going out from 0."""
    found = []
    for condition in context.named:
        ends = []
        for side in ([c for c in reversed(coefficients) if c < 0], [c for c in coefficients if c > 0]):
            held = 0.0
            for c in side:
                answers = groups.get((condition.name, c))
                if not answers or any(one.judgement.broken for one in answers):
                    break
                held = c
            ends.append(held)
        found.append(f"{condition.name}: no completion is broken from coefficient {ends[0]:g} to {ends[1]:g}.")
    return found
