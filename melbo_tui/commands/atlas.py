"""`melbo-tui atlas`: how strongly a vector is amplified from every block to every later one."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from typing import Any

import numpy as np

from core.discovery.declarations.atlas import Settings
from core.engine.requests import MapBlocks
from core.engine.session import Session
from core.engine.unfinished import AtlasHeader
from core.specs import declared
from melbo_tui.commands import COMMANDS
from melbo_tui.commands.options import add_settings, given_settings
from melbo_tui.commands.output import say, say_json, table
from melbo_tui.commands.prompts import add_prompts, check_nothing_new, prompts_of, same_model
from melbo_tui.commands.running import Runner, open_library
from vectors.store.atlases import Atlas, Atlases

_SHADES = "0123456789"


def add_parser(subparsers: Any, common: argparse.ArgumentParser) -> None:
    about = "Maps how strongly a vector at each block's output changes each later block's: power steering between all pairs."
    parser = subparsers.add_parser("atlas", help=COMMANDS["atlas"], description=about, parents=[common])
    parser.set_defaults(run=run)
    add_prompts(parser, "")
    add_settings(parser, declared(Settings).values())
    parser.add_argument("--resume", nargs="?", const="", metavar="ATLAS", help="complete an atlas (default: the latest)")
    parser.add_argument("--show", nargs="?", const="", metavar="ATLAS", help="show a kept atlas (default: the latest)")


def run(args: argparse.Namespace) -> int:
    library = open_library(args)
    atlases = Atlases(library.folder)
    if args.show is not None:
        report(atlases.load(args.show) if args.show else atlases.latest(), args.json)
        return 0
    if args.resume is not None:
        check_nothing_new(args)
        left = atlases.load(args.resume) if args.resume else atlases.latest(complete=False)
        told = left.told(AtlasHeader)
        same_model(args, told.spec)
        request = replace(told.request, resume=left.id)
    else:
        request = MapBlocks(prompts_of(args), **given_settings(args, declared(Settings)))
    runner = Runner(args, Session(library))
    runner.load_model()
    ids: list[str] = []
    try:
        runner.perform(request, lambda event: ids.append(getattr(event, "atlas", "")))
    finally:
        named = next((atlas for atlas in reversed(ids) if atlas), request.resume)
        if named and named in atlases.ids():
            report(atlases.load(named), args.json)
    return 0


def report(atlas: Atlas, json: bool) -> None:
    """The map: a digit a pair, then the pairs with the largest gains."""
    if json:
        tensors = {"values": atlas.values, "gains": atlas.gains, "residual_norms": atlas.residual_norms}
        plain = {name: _with_none(array.tolist()) for name, array in tensors.items()}
        say_json({"event": "Atlas", "atlas": atlas.id, "model": atlas.model, "prompts": atlas.prompts, **plain})
        return
    gains = atlas.gains
    known = np.isfinite(gains)
    if not known.any():
        return
    say(f"atlas {atlas.id} of {atlas.model}, {atlas.pairs_done} of {atlas.pairs} pairs")
    say(f"prompt: {' | '.join(atlas.prompts)}")
    logs = np.log(np.where(known, gains, 1))
    low, high = logs[known].min(), logs[known].max()
    levels = np.clip(9.99 * (logs - low) / max(high - low, 1e-9), 0, 9).astype(int)
    columns = np.flatnonzero(known.any(axis=0))
    say(f"gain from source (down) to target (across), 0: {np.exp(low):.2g}, 9: {np.exp(high):.2g}, log scale\n")
    say("       " + "".join(f"{column // 10 or '':>1}" if column % 5 == 0 else " " for column in columns))
    say("source " + "".join(f"{column % 10}" if column % 5 == 0 else "." for column in columns))
    for source in np.flatnonzero(known.any(axis=1)):
        say(f"{source:6} " + "".join(_SHADES[levels[source, t]] if known[source, t] else " " for t in columns))
    say()
    order = np.argsort(np.where(known, gains, -1), axis=None)[::-1][: min(8, known.sum())]
    pairs = [divmod(int(place), len(gains)) for place in order]
    rows = [(f"{s} -> {t}", f"{gains[s, t]:.2f}", "  ".join(f"{value:.2f}" for value in atlas.values[s, t])) for s, t in pairs]
    table(("blocks", "gain", "singular values"), rows)
    if not atlas.complete:
        say(f"\nIncomplete: `melbo-tui atlas --resume {atlas.id}` resumes it.")


def _with_none(values: Any) -> Any:
    """Nested lists with None for what is no finite number: JSON has no NaN."""
    if isinstance(values, list):
        return [_with_none(value) for value in values]
    return values if math.isfinite(values) else None
