"""`melbo-tui evaluate judge`: what the marks, and a judge of the user's own, say of completions in a file."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from core.engine.events import Progressed
from core.errors import SettingsError
from core.evaluation.agreement import Confusion, Share
from core.evaluation.criteria import (
    CRITERIA,
    labelled_shares,
    marked_shares,
    marks_against,
    readers_against,
    word_of,
    word_said,
)
from core.evaluation.declarations.judge import NOBODY, WithJudge, told_judge
from core.evaluation.judges import JUDGES, judge_of
from core.evaluation.judges.asking import Judged, judged
from core.evaluation.judges.judge import Question
from core.evaluation.judging import judge
from core.evaluation.labelled_lines import LabelledLine, labelled_lines
from core.specs import declared, made
from melbo_tui.commands.options import add_force, add_settings, given_settings
from melbo_tui.commands.output import ProgressLine, fail, fitted, note, say, say_json, table
from melbo_tui.settings import Settings
from vectors.annotation import Annotation
from vectors.completion import Judgement
from vectors.files.atomic import write_atomically
from vectors.files.given_path import file_to_write
from vectors.files.strict_json import dumps
from vectors.plain_text import one_line

_WIDTH = 80  # of a table's line; the texts are in the file
_TEXT = 400  # characters of a text that are looked at for a line


def add_parser(actions: Any, common: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    about = (
        "What the marks say of each completion in a file, without a model; beside it what a judge of your own says, and how"
        " both agree with the labels that the file has."
    )
    parser = actions.add_parser(
        "judge", help="marks, labels and a judge of your own", description=f"{about} {_kinds(words)}", parents=[common]
    )
    parser.set_defaults(run=_judge)
    lines = 'JSON lines, {"prompt", "text"} each, label_refusal, label_coherent, label_relevant perhaps; - is standard input'
    parser.add_argument("file", metavar="FILE", help=lines)
    add_settings(parser, declared(WithJudge).values())
    parser.add_argument("--judge-again", action="store_true", help="ask also about completions that it has judged before")
    parser.add_argument("--counts", action="store_true", help="the counts and the tables alone, without a line a completion")
    parser.add_argument("--out", metavar="FILE", help="write FILE's lines with the marks and the judge's verdicts beside")
    add_force(parser)


def _kinds(words: Sequence[str] | None) -> str:
    """The kinds of judges, for the help; other packages are imported only where that is asked for."""
    asked = words is None or {"-h", "--help"} & set(words)
    kinds = (
        {name: JUDGES[name].summary for name in JUDGES.own}
        if not asked
        else {name if name in JUDGES.own else f"{name}:...": kind.summary for name, kind in JUDGES.readable().items()}
    )
    return f"A judge is one of: {'; '.join(f'{name}, {summary}' for name, summary in kinds.items())}.".replace("%", "%%")


def with_judge(given: Mapping[str, Any]) -> dict[str, Any]:
    """`given`, settings of a command that asks a judge; where they name none, with that of the app's settings, of which a line
    is told. Raises SettingsError.
    """
    if "judge" in given:
        if given["judge"] is None:
            raise SettingsError("no judge is named", f"name one by --judge, or {NOBODY} for no judge")
        return dict(given)
    usual = Settings.load().judge
    try:
        told = told_judge(usual)
    except SettingsError as error:
        wrong = f"the judge of the app's settings cannot be asked: {error}"
        raise SettingsError(wrong, f"{error.remedy}; or name another by --judge, or {NOBODY}") from None
    if not told:
        return dict(given)
    note(f"the judge is that of the app's settings, {told} (--judge {NOBODY} asks nobody)")
    return {**given, "judge": usual}


def _judge(args: argparse.Namespace) -> int:
    wanted = made(WithJudge, with_judge(given_settings(args, declared(WithJudge))), "the judge").wanted
    if wanted is None and args.judge_again:
        raise SettingsError("--judge-again is about a judge", "name it by --judge")
    out = file_to_write(args.out, args.force) if args.out else None
    own = judge_of(wanted) if wanted is not None else None
    lines = labelled_lines(args.file)
    marks = [judge(line.completion, line.prompt) for line in lines]
    verdicts = _asked(own, lines, args.judge_again) if own is not None else None
    objects = [_object(*one, verdicts) for one in zip(lines, marks, _annotations(verdicts, lines), strict=True)]
    if out is not None:
        merged = ({**line.data, **one} for line, one in zip(lines, objects, strict=True))
        write_atomically(out, "".join(f"{dumps(one)}\n" for one in merged).encode())
    if not args.json:
        _show(lines, marks, verdicts, args.counts)
    elif args.counts:
        say_json(_summary(lines, marks, verdicts))
    else:
        for one in objects:
            say_json(one)
    if verdicts is not None and verdicts.trouble is not None:
        fail(str(verdicts.trouble), verdicts.trouble.remedy)
        return 1
    return 0


def _asked(own: Any, lines: Sequence[LabelledLine], again: bool) -> Judged:
    """What the judge says, with a line of progress."""
    progress, began = ProgressLine(), time.monotonic()
    questions = [Question(line.prompt, line.completion.text) for line in lines]
    with closing(judged(own, questions, again)) as steps:
        try:
            while True:
                done, of = next(steps)
                rate = done / max(time.monotonic() - began, 1e-9) if done else None
                progress.show(Progressed(0, f"asking {own.name}", done, of, rate, (of - done) / rate if rate else None))
        except StopIteration as stop:
            verdicts: Judged = stop.value
        finally:
            progress.clear()
    if verdicts.judged < len(lines):
        unclear = verdicts.misunderstood
        how = f"; {unclear} answer{' was' if unclear == 1 else 's were'} not understood" if unclear else ""
        note(f"judged {verdicts.judged} of {len(lines)}{how}")
    return verdicts


def _annotations(verdicts: Judged | None, lines: Sequence[LabelledLine]) -> Sequence[Annotation | None]:
    return verdicts.annotations if verdicts is not None else [None] * len(lines)


# For machines


def _object(line: LabelledLine, marks: Judgement, verdict: Annotation | None, verdicts: Judged | None) -> dict[str, Any]:
    """The marks by their names, the labels as the file has them, and the judge's verdict under its own key."""
    told: dict[str, Any] = {
        "prompt": line.prompt,
        "text": line.data["text"],
        "refuses": marks.refuses,
        "deflects": marks.deflects,
        "broken": marks.broken,
        "on_topic": marks.on_topic,
        "kind": marks.kind,
        "fulfils": marks.fulfils,
        "repetition": marks.repetition,
        "why": marks.why,
        **(line.label.to_line() if line.label is not None else {}),
    }
    if verdicts is not None:
        said = (
            None
            if verdict is None
            else {"refusal": verdict.refusal, "coherent": verdict.coherent, "relevant": verdict.relevant}
        )
        told["judge"] = None if said is None else {"by": verdicts.by, **said}
    return told


def _summary(lines: Sequence[LabelledLine], marks: Sequence[Judgement], verdicts: Judged | None) -> dict[str, Any]:
    told: dict[str, Any] = {"completions": len(lines), "marks": _json(marked_shares(marks))}
    if any(line.label for line in lines):
        told["labels"] = _json(labelled_shares(line.label for line in lines))
    if verdicts is not None:
        facts = {"by": verdicts.by, "judged": verdicts.judged, "asked": verdicts.asked, "misunderstood": verdicts.misunderstood}
        told["judge"] = {**facts, "counts": _json(labelled_shares(verdicts.annotations))}
    return {**told, "agreement": {title: _json(found) for title, found in _agreement(lines, marks, verdicts).items()}}


def _json(found: Mapping[str, Share | Confusion]) -> dict[str, Any]:
    return {mark: one.to_json() for mark, one in found.items()}


def _agreement(
    lines: Sequence[LabelledLine], marks: Sequence[Judgement], verdicts: Judged | None
) -> dict[str, Mapping[str, Confusion]]:
    """The tables by their titles: all against the labels or, where there are none, the marks against the judge."""
    labels = [line.label for line in lines]
    if any(labels):
        found: dict[str, Mapping[str, Confusion]] = {"marks against labels": marks_against(marks, labels)}
        if verdicts is not None:
            found["judge against labels"] = readers_against(verdicts.annotations, labels)
        return found
    if verdicts is None or not any(verdicts.annotations):  # where it judged nothing, there is nothing to hold the marks to
        return {}
    return {"marks against judge": marks_against(marks, verdicts.annotations)}


# For people


def _show(lines: Sequence[LabelledLine], marks: Sequence[Judgement], verdicts: Judged | None, counts: bool) -> None:
    labelled = any(line.label for line in lines)
    if not counts:
        shown = zip(lines, marks, _annotations(verdicts, lines), strict=True)
        columns = {
            "line": True,
            "marks": True,
            "label": labelled,
            "judge": verdicts is not None,
            "kind": True,
            "completion": True,
        }
        rows = [
            (str(line.number), word_of(one), word_said(line.label), word_said(verdict), one.kind,
             one_line(line.completion.text[:_TEXT]))
            for line, one, verdict in shown
        ]  # fmt: skip
        kept = [name for name, there in columns.items() if there]
        wanted = [[cell for cell, there in zip(row, columns.values(), strict=True) if there] for row in rows]
        table(kept, fitted(kept, wanted, _WIDTH))
        say()
    shares = {"marks": marked_shares(marks)}
    if labelled:
        shares["labels"] = labelled_shares(line.label for line in lines)
    if verdicts is not None:
        shares["judge"] = labelled_shares(verdicts.annotations)
    say(f"{len(lines)} completion{'s' * (len(lines) != 1)}, with 95% intervals")
    table(["", *shares], [[one.mark, *(_share(found[one.mark]) for found in shares.values())] for one in CRITERIA])
    for title, found in _agreement(lines, marks, verdicts).items():
        say(f"\n{title}" + (f" ({verdicts.by})" if verdicts is not None and "judge" in title else ""))
        rows_of = [[one.mark, *_confusion(found[one.mark])] for one in CRITERIA]
        table(("", "n", "TP", "FP", "FN", "TN", "precision", "recall"), rows_of)


def _confusion(one: Confusion) -> list[str]:
    return [*map(str, (one.n, one.tp, one.fp, one.fn, one.tn)), _rate(one.precision), _rate(one.recall)]


def _share(one: Share) -> str:
    low, high = one.interval or (0.0, 0.0)
    return f"{one.count} of {one.of} ({low:.0%} to {high:.0%})" if one.of else "not told"


def _rate(one: Share) -> str:
    low, high = one.interval or (0.0, 0.0)
    return f"{one.value:.2f} ({low:.2f}-{high:.2f})" if one.of else "-"
