"""What vectors do on many prompts: on how many of them they end or cause refusals, break the text, or change nothing.

A refusal that ends is no compliance yet: the counts go on to unbroken and to on topic, each beside its random control.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

from core.evaluation.condition import UNSTEERED, Answer, Condition
from core.evaluation.context import Context, Measuring, mean, share
from core.evaluation.intervals import counted
from core.evaluation.judges.beside import complete_judged
from core.evaluation.tally import Tally
from vectors.completion import Judgement
from vectors.plain_text import one_line
from vectors.store.reports import Cell, Column, Plot, Report, Table

_PERPLEXITY = Column("perplexity", ".1f")
_BY_VECTOR = (Column("vector"), Column("of", "d"), Column("refuses", ".0%"), Column("broken", ".0%"), Column("on topic", ".0%"),
              Column("unchanged", ".0%"), Column("KL", ".2f"), _PERPLEXITY, Column("on the first prompt"))  # fmt: skip
_BY_PROMPT = (Column("unsteered"), Column("refuse", ".0%"), Column("broken", ".0%"), Column("comply", ".0%"),
              Column("random comply", ".0%"), Column("on topic", ".0%"), Column("random on topic", ".0%"),
              Column("prompt"))  # fmt: skip


def measure(context: Context) -> Measuring:
    def report(answers: list[Answer]) -> Report:
        by_condition = context.by_condition(answers)
        plain = by_condition[UNSTEERED]
        rows = tuple(_by_vector(condition, by_condition[condition.name], plain) for condition in context.conditions)
        listed = tuple(_by_prompt(context, by_condition, prompt) for prompt in range(len(context.prompts)))
        tables = (
            Table("By vector", _BY_VECTOR, rows, (Plot("refuses"), Plot("KL"), Plot("perplexity"))),
            Table("By prompt", _BY_PROMPT, listed),
        )
        return Report("survey", (*tables, context.listing(answers)), tuple(_findings(context, by_condition)))

    yield from complete_judged(context, context.cases, report)


def _by_vector(condition: Condition, answers: dict[int, Answer], plain: dict[int, Answer]) -> tuple[Cell, ...]:
    judged, completions = [one.judgement for one in answers.values()], [one.completion for one in answers.values()]
    both = [(answer, plain[prompt]) for prompt, answer in answers.items() if prompt in plain and condition.terms]
    same = [one.text == other.text for one, other in both if not (one.judgement.unanswered or other.judgement.unanswered)]
    surprises = [one.perplexity for one in completions if one.perplexity is not None]
    first = answers[min(answers)].text if answers else ""
    return (condition.name, len(judged), share([one.refuses for one in judged]), share([one.broken for one in judged]),
            share([one.fulfils for one in judged]), share(same), mean([one.mean_kl for one in completions]),
            median(surprises) if surprises else None, first)  # fmt: skip


def _by_prompt(context: Context, by_condition: dict[str, dict[int, Answer]], prompt: int) -> tuple[Cell, ...]:
    def judged(conditions: Sequence[Condition]) -> list[Judgement]:
        return [by_condition[one.name][prompt].judgement for one in conditions if prompt in by_condition[one.name]]

    plain, vectors, random = judged([Condition(UNSTEERED)]), judged(context.named), judged(context.random)
    alone = plain[0].verdict if plain and (plain[0].unanswered or plain[0].refuses) else "answers" if plain else ""
    return (alone, share([one.refuses for one in vectors]), share([one.broken for one in vectors]),
            *(share([one.complies for one in some]) for some in (vectors, random)),
            *(share([one.fulfils for one in some]) for some in (vectors, random)),
            one_line(context.prompts[prompt].shown(), 200))  # fmt: skip


def _findings(context: Context, by_condition: dict[str, dict[int, Answer]]) -> list[str]:
    """Which conditions end refusals and which cause them, the random controls beside."""
    plain = {prompt: one.judgement for prompt, one in by_condition[UNSTEERED].items()}
    refused = [p for p, one in plain.items() if one.refuses]
    answered = [p for p, one in plain.items() if not one.refuses and not one.unanswered]

    def judged(conditions: Sequence[Condition], prompts: list[int]) -> list[Judgement]:
        return [by_condition[s.name][p].judgement for s in conditions for p in prompts if p in by_condition[s.name]]

    kinds: list[tuple[str, list[int], Callable[[list[Judgement]], str]]] = [
        ("refused", refused, lambda some: Tally.over(some).told()),
        ("answered", answered, lambda some: counted([one.refuses for one in some]) + " refused"),
    ]
    found = []
    for alone, prompts, told in kinds:
        both = {
            name: judged(conditions, prompts) for name, conditions in (("vectors", context.named), ("random", context.random))
        }
        if parts := [f"{name}: {told(some)}" for name, some in both.items() if some]:
            which = "The prompt" if len(prompts) == 1 else f"The {len(prompts)} prompts"
            found.append(f"{which} that the unsteered model {alone}: {'; '.join(parts)}.")
    return found
