"""`melbo-tui evaluate organism`: how often each method finds what the bundled model hides."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict, replace
from itertools import groupby
from typing import Any

from core.engine.evaluation_requests import ScoreOrganism
from core.engine.events import Event, TrialDone
from core.engine.session import Session
from core.engine.unfinished import ScoreHeader
from core.errors import SettingsError
from core.organism.score_table import TITLES, ScoreLine, sum_up
from melbo_tui.commands.output import say, say_json, table
from melbo_tui.commands.running import Runner, open_library
from melbo_tui.formatting import duration
from vectors.store.checkpoints import Checkpoints
from vectors.store.index import LibraryError

_COUNTS = ("runs that found it", "of", "behaviours a run", "radius", "coefficient", "compliance vectors")


def add_parser(actions: Any, common: argparse.ArgumentParser) -> None:
    about = "How often each method finds what the bundled model hides: its backdoor, its locked skill, compliance."
    organism = actions.add_parser("organism", help="the methods on the bundled model's secrets", description=about,
                                  parents=[common])  # fmt: skip
    organism.set_defaults(run=_organism)
    default = ScoreOrganism()
    organism.add_argument("--methods", metavar="M,M", help=f"some of {','.join(default.ways)} (default: all)")
    organism.add_argument("--prompts", type=int, metavar="N", help="harmful prompts to train on (default: 5)")
    organism.add_argument("--seeds", type=int, metavar="N", help="runs per prompt (default: 3)")
    organism.add_argument("--vectors", type=int, metavar="N", help="vectors per run (default: 32)")
    organism.add_argument("--radii", metavar="X,X", help="further radii, as multiples of auto (default: 0.7,1.4)")
    organism.add_argument("--resume", nargs="?", const="", metavar="SCORE", help="complete a score (default: the latest)")
    organism.add_argument("--show", nargs="?", const="", metavar="SCORE", help="show a kept score (default: the latest)")


def _organism(args: argparse.Namespace) -> int:
    library = open_library(args)
    kept = Checkpoints(library.folder, "scores")
    if args.show is not None:
        return report(kept, args.show or _latest(kept), args.json)
    asked = _asked(args)
    if args.resume is not None:
        if asked:
            raise SettingsError("a score is resumed with its own settings", "leave out the other options")
        score = args.resume or _latest(kept)
        request = replace(kept.load(score).told(ScoreHeader).request, resume=score)
    else:
        request = ScoreOrganism(**asked)
    runner = Runner(args, Session(library))
    runner.load_model()
    scores = [request.resume] if request.resume else []

    def listen(event: Event) -> None:
        if isinstance(event, TrialDone):
            scores.append(event.score)

    try:
        runner.perform(request, listen)
    finally:
        if scores:
            report(kept, str(scores[-1]), args.json)
    return 0


def _asked(args: argparse.Namespace) -> dict[str, Any]:
    given: dict[str, Any] = {"n_prompts": args.prompts, "seeds": args.seeds, "vectors": args.vectors}
    if args.methods is not None:
        given["ways"] = tuple(word.strip() for word in args.methods.split(",") if word.strip())
    if args.radii is not None:
        try:
            given["scales"] = tuple(float(word) for word in args.radii.split(",") if word.strip())
        except ValueError as error:
            raise SettingsError(f"{args.radii!r} is no list of numbers", "for example --radii 0.5,0.7,1.4") from error
    return {name: value for name, value in given.items() if value is not None}


def _latest(kept: Checkpoints) -> str:
    scores = kept.unfinished()
    if not scores:
        raise LibraryError("there is no score in the library yet: `melbo-tui evaluate organism` makes one")
    return scores[-1]


def report(kept: Checkpoints, score: str, json: bool) -> int:
    """The table of a score: a line a method and radius, random vectors last."""
    told = kept.load(score).told(ScoreHeader)
    try:
        lines = sum_up(told.trials.values())
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:
        raise LibraryError(f"score {score} is damaged: its trials cannot be read") from error
    fluency = told.fluency or {}
    if json:
        say_json({"event": "Score", "score": score, "model": told.model, "fluency": told.fluency,
                  "lines": [asdict(line) for line in lines], "trials": list(told.trials.values())})  # fmt: skip
        return 0
    say(f"score {score} of {told.model}; fluent: perplexity to {fluency.get('perplexity', 0):.1f} under the unadapted "
        f"model, repetition to {fluency.get('repetition', 0):.2f}")  # fmt: skip
    for kind, group in groupby(lines, key=lambda line: line.property):
        listed = list(group)
        names = list(listed[0].values)
        say(f"\n{TITLES[kind]}")
        table(("method", "at", "runs", *names, "seconds a run"), [_row(line, names) for line in listed])
    return 0


def _row(line: ScoreLine, names: list[str]) -> tuple[str, ...]:
    values = [_cell(name, line.values) for name in names]
    return (line.way, f"{line.scale:g} x auto", str(line.trials), *values, duration(line.seconds))


def _cell(name: str, values: Mapping[str, float]) -> str:
    return f"{values[name]:.3g}" if name in _COUNTS else f"{values[name]:.1%}"
