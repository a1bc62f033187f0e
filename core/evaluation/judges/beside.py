"""A judge's verdicts beside the marks in a metric's report: a column of its own, and a sentence that counts them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace

from core.evaluation.condition import Answer, Case
from core.evaluation.context import Context, Measuring, Step
from core.evaluation.criteria import labelled_shares, word_said
from core.evaluation.intervals import in_percent
from core.evaluation.judges import judge_of
from core.evaluation.judges.asking import Judged, judged
from core.evaluation.judges.judge import Question, Wanted
from vectors.annotation import Annotation
from vectors.plain_text import one_line
from vectors.store.reports import Column, Report

_LONGEST_NAME = 40  # of a judge in a sentence, which a small screen is to show whole


def complete_judged(context: Context, cases: Sequence[Case], report: Callable[[list[Answer]], Report]) -> Measuring:
    """As `context.complete`; then the judge that the settings name, if any, is asked about all completions.

    The last of a report's tables is to be `context.listing`. Raises MelboError, before the first completion,
    where there can be no such judge; one that fails later is told among the warnings.
    """
    wanted: Wanted | None = context.settings.wanted
    if wanted is None:
        yield from context.complete(cases, report)
        return
    own = judge_of(wanted)
    answers: list[Answer] = []

    def reported(finished: list[Answer]) -> Report:
        answers[:] = finished
        return report(finished)

    step = Step(0, 1, lambda: report([]))
    for step in context.complete(cases, reported):
        yield replace(step, total=2 * step.total)
    made = step.report()
    questions = [Question(context.prompts[one.case.prompt].shown(), one.text) for one in answers]
    with closing(judged(own, questions)) as steps:
        while True:
            try:
                done, of = next(steps)
            except StopIteration as stop:
                found: Judged = stop.value
                break
            yield Step(step.total * (1 + done / max(of, 1)), 2 * step.total, lambda: made)
    if found.trouble is not None:
        context.warn(f"{found.trouble} ({found.trouble.remedy})" if found.trouble.remedy else str(found.trouble))
    yield Step(2 * step.total, 2 * step.total, lambda: _beside(made, answers, found))


def _beside(report: Report, answers: Sequence[Answer], found: Judged) -> Report:
    *others, listing = report.tables
    *facts, _, text = listing.columns
    columns = (*facts, Column("marks"), Column("judge"), text)  # two readers, each called by its name
    rows = tuple((*row[:-1], word_said(verdict), row[-1]) for row, verdict in zip(listing.rows, found.annotations, strict=True))
    return replace(
        report,
        tables=(*others, replace(listing, columns=columns, rows=rows)),
        findings=(*report.findings, _counts(answers, found)),
    )


def _counts(answers: Sequence[Answer], found: Judged) -> str:
    """What the judge calls fulfilled under the vectors, and under the random ones beside."""
    parts = []
    for name, random in (("the vectors", False), ("random ones", True)):
        said: list[Annotation | None] = [
            verdict
            for answer, verdict in zip(answers, found.annotations, strict=True)
            if answer.case.condition.terms and answer.case.condition.random == random
        ]
        share = labelled_shares(said)["fulfils"]
        if share.of:
            parts.append(f"{share.count} of {share.of} ({in_percent(share.count, share.of)}) under {name}")
    unclear = f", {found.misunderstood} answers not understood" if found.misunderstood else ""
    judged_of = f"{found.judged} of {len(answers)} completions judged{unclear}"
    by = f"By the judge {one_line(found.by, _LONGEST_NAME)}"
    return f"{by}, {', '.join(parts)} do what was asked ({judged_of})." if parts else f"{by}: {judged_of}."
