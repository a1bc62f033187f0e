"""`melbo-tui train METHOD`: finds vectors, keeps them in the library, shows what each makes the model say."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from core.discovery import METHODS
from core.errors import SettingsError
from core.events import Event, RadiusChosen, RunStarted, Said, VectorFound
from core.requests import Prompt, Train
from core.session import Session
from melbo_tui.commands.output import say, say_json, table
from melbo_tui.commands.running import Runner, existing_folder_of, open_library


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
    report = _Report()
    try:
        runner.perform(request, report.listen)
    finally:
        report.print(args.json)
    return 0


class _Report:
    """Gathers a run's events into the table that stands at its end."""

    def __init__(self) -> None:
        self.started: RunStarted | None = None
        self.radius: RadiusChosen | None = None
        self.found: dict[str, VectorFound] = {}
        self.said: dict[str, Said] = {}

    def listen(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.started = event
        elif isinstance(event, RadiusChosen):
            self.radius = event
        elif isinstance(event, VectorFound):
            self.found[str(event.index)] = event
        elif isinstance(event, Said):
            self.said[event.key] = event

    def print(self, as_json: bool) -> None:
        if self.started is None or self.radius is None:
            return
        if as_json:
            say_json({"event": "Result", "run": self.started.run, "radius": self.radius.radius, "rows": self._json_rows()})
            return
        say(f"radius {self.radius.radius:.4g}" + (" (calibrated)" if self.radius.automatic else ""))
        rows = [self._row(key, key) for key in self.said if key not in self.found]
        rows += [self._row(found.name, key, found) for key, found in self.found.items()]
        table(("vector", "effect", "KL", "perplexity", "", "what the model says under it"), rows)
        refusing = [key for key, said in self.said.items() if said.refuses]
        if self.found and self.said:
            kept = [key for key in self.found if key in self.said and key not in refusing]
            broken = sum(self.said[key].broken for key in kept)
            controls = [key for key in self.said if key.startswith("control")]
            say(
                f"\n{len(kept)} of {len(self.found)} vectors do not refuse ({broken} of those are broken text); "
                f"random controls: {sum(key not in refusing for key in controls)} of {len(controls)}."
            )
        if self.found:
            say("All are in the library; `melbo-tui chat --steer NAME=1` talks to the model under one.")

    def _row(self, name: str, key: str, found: VectorFound | None = None) -> tuple[str, ...]:
        said = self.said.get(key)
        if said is None:
            return (name, f"{found.objective:.1f}" if found else "", "", "", "", "")
        mark = "refuses" if said.refuses else "broken" if said.broken else ""
        kl = f"{said.kl[0]:.2f}" if said.kl else ""
        perplexity = f"{min(said.perplexity, 99999):.1f}" if said.perplexity is not None else ""
        return (name, f"{found.objective:.1f}" if found else "", kl, perplexity, mark, said.text)

    def _json_rows(self) -> list[dict[str, Any]]:
        rows = []
        for key in [*(k for k in self.said if k not in self.found), *self.found]:
            found, said = self.found.get(key), self.said.get(key)
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
        return rows


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
