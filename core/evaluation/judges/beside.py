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
from vectors.store.reports import Column, Report


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
    columns = (*listing.columns[:-1], Column("judge"), listing.columns[-1])
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
    unclear = f"; {found.misunderstood} of its answers were not understood" if found.misunderstood else ""
    judged_of = f"judged {found.judged} of {len(answers)} completions{unclear}"
    return f"The judge {found.by} {judged_of}" + (f"; by it, these do what was asked: {', '.join(parts)}." if parts else ".")
