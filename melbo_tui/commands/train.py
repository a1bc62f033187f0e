"""`melbo-tui train METHOD`: trains vectors, keeps them in the library, and shows a completion under each."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.discovery import METHODS
from core.discovery.declarations.general import HOW, RESULTS, WHERE, General
from core.discovery.method import Method
from core.engine.events import RadiusChosen
from core.engine.given_files import looked_at
from core.engine.out_file import OutFile
from core.engine.requests import Train
from core.engine.session import Session
from core.engine.unfinished import AskedRun
from core.errors import SettingsError
from core.specs import declared
from melbo_tui.commands import COMMANDS
from melbo_tui.commands.options import add_declared, add_settings, given_settings
from melbo_tui.commands.output import completion_json, say, say_json, table
from melbo_tui.commands.prompts import add_prompts, check_nothing_new, prompts_of, same_model
from melbo_tui.commands.running import Runner, open_library
from melbo_tui.formatting import answer_of
from melbo_tui.run_state import RunState
from vectors.files.given_path import file_to_write
from vectors.store.checkpoints import Checkpoints
from vectors.store.index import LibraryError
from vectors.store.library import Library


def add_parser(subparsers: Any, common: argparse.ArgumentParser, words: Sequence[str] | None = None) -> None:
    parser = subparsers.add_parser("train", help=COMMANDS["train"], description="Trains steering vectors.")
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)

    def add(name: str, method: Method) -> None:
        about = method.summary.replace("%", "%%")
        _add_method(methods.add_parser(name, help=about, description=method.summary, parents=[common]), method)

    add_declared(METHODS, words, add)


def _add_method(parser: argparse.ArgumentParser, method: Method) -> None:
    parser.set_defaults(run=run)
    what = parser.add_argument_group("prompt")
    add_prompts(what, ": the sum of their objectives is maximised")
    groups = {name: parser.add_argument_group(name) for name in (WHERE, HOW, RESULTS)}
    for name, setting in declared(General).items():
        if name in method.general:
            add_settings(groups[setting.option.group], [method.general[name]])
        elif name in _TAKEN_IN_VAIN:
            add_settings(parser, [setting], shown=False)
    add_settings(groups[HOW], method.options.values())
    groups[RESULTS].add_argument(
        "--resume",
        nargs="?",
        const="",
        metavar="RUN",
        help="resume an interrupted run, with its own settings (default: the latest of this method)",
    )


# Of no use to a method that makes one vector and looks at no target, but taken: scripts give them.
_TAKEN_IN_VAIN = ("target", "vectors")


def run(args: argparse.Namespace) -> int:
    library = open_library(args)
    request = _resumed(args, library) if args.resume is not None else _request(args)
    runner = Runner(args, Session(library))
    runner.load_model()
    state = RunState()
    try:
        runner.perform(request, state.take)
    finally:
        report_json(state) if args.json else report(state)
    return 0


def _request(args: argparse.Namespace) -> Train:
    settings = given_settings(args, METHODS[args.method].options)
    # A contrast has prompts enough; it is sampled on one of those that it points away from.
    prompts = prompts_of(args, settings.get("negative", [])[:1])
    general = looked_at(given_settings(args, declared(General)))
    return Train(prompts=prompts, method=args.method, settings=settings, **general)


def _resumed(args: argparse.Namespace, library: Library) -> Train:
    """The request of the interrupted run that `--resume` names, its model put in place of the default one."""
    given = given_settings(args, declared(General))
    check_nothing_new(args, given.get("init"), given.get("vectors"))
    checkpoints = Checkpoints(library.folder)
    for left in [checkpoints.load(args.resume)] if args.resume else checkpoints.readable():
        try:
            told = left.told(AskedRun)
        except (LibraryError, SettingsError):
            if args.resume:
                raise
            continue  # one that is damaged hides no other
        if args.resume or told.request.method == args.method:
            same_model(args, told.spec)
            request = replace(told.request, resume=left.run)
            if given.get("out"):
                force = given.get("force", False)
                request = replace(request, out=str(file_to_write(given["out"], force)), force=force)
            elif request.out is not None:
                OutFile(request.out, left.run, request.force)  # refused before the model takes its time to load
            return request
    raise SettingsError(f"no interrupted {args.method} run is there to resume")


def report(run: RunState) -> None:
    """The table that stands at a run's end: the completions unsteered, under random vectors, and under each vector."""
    if not (run.vectors or run.generated or run.left_out):
        return
    for index, cause in run.failed.items():
        say(f"vector {index + 1} failed: {cause}")
    if run.stopped:
        say(f"ended early: {run.stopped}")
    if run.radius is not None:
        say(f"radius {run.radius.radius:.4g}" + (" (calibrated)" if run.radius.automatic else ""))
        if run.radius.curve:
            say(
                "nonlinearity of random directions: "
                + ", ".join(f"{value:.2f} at {norm:.3g}" for norm, value in _around(run.radius))
            )
    rows = [_cells(run, key) for key in sorted(run.rows(), key=str.isdecimal)]
    to_base = ("KL to base",) if run.family else ()
    thought = ("thought",) if run.thinks else ()
    table(("vector", "effect", *to_base, "KL", "perplexity", *thought, "", "completion"), rows)
    if run.summary():
        say(f"\n{run.summary()}.")
    if run.started is not None and run.generated and (without := len(run.unsampled())):  # a run may also be asked for none
        say(f"{without} have no sample yet: `melbo-tui train {run.started.method} --resume` makes them.")
    if run.vectors:
        say("All are in the library; `melbo-tui chat --steer NAME=1` steers a chat with one.")


def _around(chosen: RadiusChosen) -> list[tuple[float, float]]:
    """The points of the calibration's curve nearest to the radius, by rising norm."""
    return sorted(sorted(chosen.curve, key=lambda point: abs(math.log(point[0] / chosen.radius)))[:4])


def _cells(run: RunState, key: str) -> tuple[str, ...]:
    vector, generated = run.vector(key), run.generated.get(key)
    name, effect = (vector.name, f"{vector.objective:.1f}") if vector else (key, "")
    start = [name, effect]
    if run.family:
        to_base = run.kl_to_base(key)
        start.append("" if to_base is None else f"{to_base:.2g}")
    if generated is None:
        return (*start, *[""] * (5 if run.thinks else 4))
    completion = generated.completion
    kl = f"{completion.mean_kl:.2f}" if completion.mean_kl is not None else ""
    perplexity = f"{min(completion.perplexity, 99999):.1f}" if completion.perplexity is not None else ""
    thought = (f"{completion.thought_tokens} tokens",) if run.thinks else ()
    return (*start, kl, perplexity, *thought, generated.judgement.verdict, answer_of(completion))


# What is told of a row's completion; null where there is none.
_ROW = (
    "text",
    "tokens",
    "thought",
    "thought_tokens",
    "stop",
    "mean_kl",
    "perplexity",
    "refuses",
    "deflects",
    "broken",
    "why",
    "on_topic",
    "kind",
    "repetition",
)


def report_json(run: RunState) -> None:
    """The same as one line of JSON."""
    if run.started is None:
        return
    rows = []
    for key in sorted(run.rows(), key=str.isdecimal):
        vector, generated = run.vector(key), run.generated.get(key)
        told = completion_json(generated.completion, generated.judgement) if generated else {}
        kl = told.pop("kl", ())
        rows.append(
            {
                "key": key,
                "id": vector.id if vector else None,
                "name": vector.name if vector else key,
                "objective": vector.objective if vector else None,
                "norm": vector.norm if vector else None,
                "facts": dict(vector.facts) if vector else {},
                "first_kl": kl[0] if kl else None,
                **{name: told.get(name) for name in _ROW},
            }
        )
    radius = run.radius.radius if run.radius is not None else None
    say_json(
        {
            "event": "Result",
            "run": run.started.run,
            "radius": radius,
            "stopped": run.stopped,
            "failed": run.failed,
            "left_out": run.left_out,
            "summary": run.summary(),
            "rows": rows,
        }
    )
