"""`melbo-tui evaluate`: what vectors do, as numbers, each beside the same number for random vectors."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Event, ModelLoaded, Reported
from core.engine.session import Session
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.metric import Metric
from core.files.text_files import lines_of, questions_of
from core.prompt import Prompt
from core.steering.resolving import check_acts, loaded
from melbo_tui.commands import COMMANDS, judge, score
from melbo_tui.commands.naming import add_picks, picked
from melbo_tui.commands.options import add_declared, add_settings, given_settings
from melbo_tui.commands.output import note, say, say_json, table
from melbo_tui.commands.prompts import PROMPT_FILE, add_asking, add_prompts, prompt_of, prompts_of
from melbo_tui.commands.running import Runner, open_library
from vectors.moment import moment
from vectors.store.index import LibraryError
from vectors.store.reports import Report, Reports
from vectors.vector import Origin

_ROWS = 40


def add_parser(subparsers: Any, common: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    about = "Measures vectors, beside random ones of the same norm."
    parser = subparsers.add_parser("evaluate", help=COMMANDS["evaluate"], description=about)
    actions = parser.add_subparsers(dest="action", metavar="WHAT", required=True)

    def add(name: str, metric: Metric) -> None:
        about = f"{metric.about} Random vectors of the same norm are measured beside."
        summary = metric.summary.replace("%", "%%")
        add_metric(actions.add_parser(name, help=summary, description=about, parents=[common]), metric)

    add_declared(METRICS, words, add)
    score.add_parser(actions, common)
    judge.add_parser(actions, common, words)
    about = "Shows a kept report, or lists them."
    show = actions.add_parser("show", help="show a kept report", description=about, parents=[common])
    show.set_defaults(run=_show)
    show.add_argument("report", nargs="?", metavar="REPORT", help="its id (default: the latest)")
    show.add_argument("--rows", type=int, default=_ROWS, metavar="N", help=f"most rows of each table (default: {_ROWS})")
    show.add_argument("--list", action="store_true", help="list the kept reports")


def add_metric(parser: argparse.ArgumentParser, metric: Metric) -> None:
    parser.set_defaults(run=_evaluate)
    add_picks(parser, "EXPRESSION", "what is compared, a condition each: a name, or as in '2 a - b@generated'")
    if metric.questions:
        about = "a question a line: question<TAB>answer|another right answer; or .csv, .json, .jsonl"
        parser.add_argument("--questions", metavar="FILE", required=True, help=about)
        add_asking(parser, "question")
    else:
        add_prompts(parser, "; default: those that the vectors were trained on")
        parser.add_argument("--prompts", metavar="FILE", help=PROMPT_FILE)
    add_settings(parser, metric.options.values())
    add_settings(parser, metric.general.values())


def _evaluate(args: argparse.Namespace) -> int:
    library = open_library(args)
    metric = METRICS[args.action]
    settings, general = given_settings(args, metric.options), given_settings(args, metric.general)
    if "judge" in metric.options:
        settings = judge.with_judge(settings)
    # A slip in a file or a name is told before the model takes its seconds to load.
    args.model = args.spec.model  # names are looked for among its vectors first
    picks = picked(library, args)
    steerings = tuple(loaded(expression, library) for expression in picks)
    prompts, answers = _asked(args, [term.vector.origin for steering in steerings for term in steering])
    request = Evaluate(args.action, steerings, prompts, answers, settings, **general)
    runner = Runner(args, Session(library))
    request = _fitting(request, runner.load_model(), len(args.names))
    for expression, steering in zip(picks[: len(args.names)], steerings, strict=False):
        check_acts(expression, steering, runner.session.model.stamp)
    reported: list[Reported] = []

    def listen(event: Event) -> None:
        if isinstance(event, Reported):
            reported[:] = [event]

    try:
        runner.perform(request, listen)
    finally:
        if reported and not args.json:
            show(reported[0].id, reported[0].report)
    return 0


def _fitting(request: Evaluate, model: ModelLoaded, named: int) -> Evaluate:
    """`request` without the vectors of other models that a run or a filter brought in; the first `named` were asked for."""
    steerings = enumerate(request.steerings)
    fitting = tuple(s for i, s in steerings if i < named or all(t.vector.d_model == model.d_model for t in s))
    if len(fitting) < len(request.steerings):
        strangers = len(request.steerings) - len(fitting)
        note(f"{strangers} of other models {'is' if strangers == 1 else 'are'} left out")
    return replace(request, steerings=fitting)


def _asked(args: argparse.Namespace, origins: Sequence[Origin]) -> tuple[tuple[Prompt, ...], tuple[tuple[str, ...], ...]]:
    """The prompts, and the right answers to them where they are questions; without prompts, the vectors' own are asked."""
    if METRICS[args.action].questions:
        questions = questions_of(args.questions, note)
        return tuple(prompt_of(args, text, origins) for text, _ in questions), tuple(a for _, a in questions)
    texts = lines_of(args.prompts, note) if args.prompts else []
    prompts = (*prompts_of(args, origins=origins), *(prompt_of(args, text, origins) for text in texts))
    if not prompts and (args.system is not None or args.template or args.raw):
        raise SettingsError("--system, --template and --raw are about prompts that are given", "give them with --prompt")
    return prompts, ()


def show(id: str, report: Report, rows: int = _ROWS) -> None:
    """The report's tables, the first `rows` of each, and what they come to."""
    say(f"{report.metric} on {report.model}" + ("" if report.complete else " (stopped early)"))
    say(f"prompts: {report.asked}")
    for one in report.tables:
        say(f"\n{one.title}")
        table([column.name for column in one.columns], one.shown()[:rows])
        if len(one.rows) > rows:
            say(f"... and {len(one.rows) - rows} more: `melbo-tui evaluate show {id} --rows {len(one.rows)}`")
    if report.findings:
        say()
    for finding in report.findings:
        say(finding)
    say(f"\nKept as report {id}: `melbo-tui evaluate show {id}`.")


def _listed(id: str, report: Report) -> tuple[str, ...]:
    whole = "" if report.complete else "stopped"
    return (id, moment(report.created), report.metric, report.model, str(len(report.vectors)), whole, ", ".join(report.vectors))


def _show(args: argparse.Namespace) -> int:
    reports = Reports(open_library(args).folder)
    if args.list:
        listed = reports.listed()
        if args.json:
            say_json([{"id": id, **report.to_json()} for id, report in listed])
        else:
            rows = [_listed(id, report) for id, report in listed]
            table(("report", "made", "metric", "model", "vectors", "", "of"), rows)
        return 0
    latest = [] if args.report else reports.listed(1)
    if not args.report and not latest:
        raise LibraryError("there is no report in the library yet: `melbo-tui evaluate kl NAME` makes one")
    id, report = latest[0] if latest else (args.report, reports.load(args.report))
    if args.json:
        say_json({"id": id, **report.to_json()})
    else:
        show(id, report, max(args.rows, 0))
    return 0
