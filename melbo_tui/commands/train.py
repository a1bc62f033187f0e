"""`melbo-tui train METHOD`: finds vectors, keeps them in the library, shows what each makes the model say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.discovery import METHODS
from core.errors import SettingsError
from core.requests import Prompt, Train
from core.session import Session
from melbo_tui.commands.output import say, say_json, table
from melbo_tui.commands.running import Runner, existing_folder_of, open_library
from melbo_tui.run_state import RunState, verdict


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    parser = subparsers.add_parser("train", help="find steering vectors", description="Finds steering vectors.")
    methods = parser.add_subparsers(dest="method", metavar="METHOD", required=True)
    for name, summary in METHODS.items():
        _add_method(methods.add_parser(name, help=summary, description=summary, parents=[common]))


def _add_method(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=run)
    what = parser.add_argument_group("what to change")
    what.add_argument(
        "--prompt", action="append", default=[], metavar="TEXT", help="a prompt (repeatable: their sum is climbed)"
    )
    what.add_argument("--prompt-ids", action="append", default=[], type=_ids, metavar="1,2,3", help="a prompt as token ids")
    what.add_argument("--system", metavar="TEXT", help="the system text (default: the chat template's own)")
    what.add_argument("--raw", action="store_true", help="no chat template: the prompt as it stands")
    where = parser.add_argument_group("where and how strongly")
    where.add_argument(
        "--source", type=int, metavar="I", help="the block whose output is steered (default: 0.235 of the depth)"
    )
    where.add_argument(
        "--target", type=int, metavar="J", help="the block whose output is compared (default: 0.71 of the depth)"
    )
    where.add_argument(
        "--radius", type=_radius, default=None, metavar="auto|R", help="the vectors' norm (default: auto, calibrated)"
    )
    where.add_argument(
        "--tokens", default="last:6", metavar="all|last:K", help="positions the objective sees (default: last:6)"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--vectors", type=int, metavar="N", help="how many (default: 16, or all rows of --init)")
    how.add_argument("--steps", type=int, metavar="N", help="steps (default: 12 for power, 300 for adamw)")
    how.add_argument("--seed", type=int, default=0, metavar="N")
    how.add_argument("--optimizer", choices=["power", "adamw"], default="power", help="adamw is the published loop")
    how.add_argument("--lr", type=float, default=1e-3, dest="learning_rate", metavar="X", help="adamw's rate (default: 0.001)")
    how.add_argument("--power", type=float, default=2.0, metavar="P", help="the objective's inner exponent (default: 2)")
    how.add_argument("--root", type=float, default=2.0, metavar="Q", help="the objective's outer root (default: 2)")
    how.add_argument(
        "--norm-axis", choices=["features", "tokens"], default="features", help="tokens: as the published code computes it"
    )
    how.add_argument("--orthogonal", action="store_true", help="each vector orthogonal to all before it")
    how.add_argument("--batch", type=int, metavar="N", help="vectors trained at once (default: 8 on a CPU, 32 elsewhere)")
    how.add_argument("--init", metavar="FILE[:TENSOR]", help="a safetensors file of raw starting draws [n, d_model]")
    results = parser.add_argument_group("results")
    results.add_argument(
        "--name", metavar="NAME", help="the vectors are called NAME-01, NAME-02 ... (default: from the prompt)"
    )
    results.add_argument("--out", metavar="FILE.safetensors", help="write the vectors and their losses there too")
    results.add_argument(
        "--sample-tokens", type=int, default=40, metavar="N", help="length of the samples, 0 for none (default: 40)"
    )
    results.add_argument("--controls", type=int, default=4, metavar="N", help="random vectors to compare with (default: 4)")


# Options that bear the name of the request's field they fill.
_PASSED_ON = (
    "method source target radius steps seed optimizer learning_rate power root norm_axis orthogonal tokens batch init name "
    "sample_tokens controls"
).split()


def run(args: argparse.Namespace) -> int:
    prompts = [Prompt(text=text, system=args.system, raw=args.raw) for text in args.prompt]
    prompts += [Prompt(ids=ids) for ids in args.prompt_ids]
    vectors = args.vectors if args.vectors is not None else _rows_of(args.init)
    if args.batch is not None and args.batch < 1:
        raise SettingsError("a batch holds at least one vector")
    out = str(existing_folder_of(args.out)) if args.out else None
    request = Train(prompts=tuple(prompts), vectors=vectors, out=out, **{name: getattr(args, name) for name in _PASSED_ON})
    runner = Runner(args, Session(open_library(args)))
    runner.load_model()
    state = RunState(task=0)
    try:
        runner.perform(request, state.take)
    finally:
        report_json(state) if args.json else report(state)
    return 0


def report(run: RunState) -> None:
    """The table that stands at a run's end: what the model says unsteered, under random vectors, under each found one."""
    if run.radius is None or not (run.found or run.said):
        return
    say(f"radius {run.radius.radius:.4g}" + (" (calibrated)" if run.radius.automatic else ""))
    rows = [_cells(run, key) for key in sorted(run.rows(), key=str.isdecimal)]
    table(("vector", "effect", "KL", "perplexity", "", "what the model says under it"), rows)
    if run.summary():
        say(f"\n{run.summary()}.")
    if run.found:
        say("All are in the library; `melbo-tui chat --steer NAME=1` talks to the model under one.")


def _cells(run: RunState, key: str) -> tuple[str, ...]:
    found, said = run.vector(key), run.said.get(key)
    name, effect = (found.name, f"{found.objective:.1f}") if found else (key, "")
    if said is None:
        return (name, effect, "", "", "", "")
    kl = f"{said.kl[0]:.2f}" if said.kl else ""
    perplexity = f"{min(said.perplexity, 99999):.1f}" if said.perplexity is not None else ""
    return (name, effect, kl, perplexity, verdict(said), said.text)


def report_json(run: RunState) -> None:
    """The same as one line of JSON."""
    if run.started is None or run.radius is None:
        return
    rows = []
    for key in sorted(run.rows(), key=str.isdecimal):
        found, said = run.vector(key), run.said.get(key)
        rows.append(
            {
                "key": key,
                "id": found.id if found else None,
                "name": found.name if found else key,
                "objective": found.objective if found else None,
                "norm": found.norm if found else None,
                "text": said.text if said else None,
                "refuses": said.refuses if said else None,
                "broken": said.broken if said else None,
                "first_kl": said.kl[0] if said and said.kl else None,
                "perplexity": said.perplexity if said else None,
            }
        )
    radius = run.radius.radius
    say_json({"event": "Result", "run": run.started.run, "radius": radius, "summary": run.summary(), "rows": rows})


def _ids(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no list of token ids like 1,2,3") from None


def _radius(text: str) -> float | None:
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a number") from None
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"the radius must be a positive number, not {text}")
    return value


def _rows_of(init: str | None) -> int:
    if init is None:
        return 16
    from vectors.formats import safetensors_file

    path, _, tensor = init.partition(":")
    shape = safetensors_file.read_tensor(Path(path), tensor or "vectors").shape
    return int(shape[0]) if len(shape) == 2 else 1
