"""Vectors by the names that people type: NAME, NAME=COEFFICIENT, and what the shell offers to complete them with."""

from __future__ import annotations

import argparse
import math
from typing import Any

from core.errors import SettingsError
from melbo_tui.settings import library_folder
from vectors.plain_text import natural, one_line
from vectors.store.library import Kept, Library
from vectors.store.query import Line, chosen


def find(library: Library, args: argparse.Namespace, name: str, trash: bool = False) -> Kept:
    return library.find(name, model_of(args), trash)


def model_of(args: argparse.Namespace) -> str | None:
    """The model whose vectors are meant, by the name they carry; None where the command names none."""
    if args.model is None:
        return None
    from core.model.source import resolve

    return resolve(args.model).wearing(args.adapter).label


def pick(library: Library, args: argparse.Namespace, text: str) -> tuple[Kept, float]:
    """A vector and its coefficient from NAME=COEFFICIENT, or from NAME alone, which means 1. Names bear no `=`."""
    name, sign, number = text.rpartition("=")
    if not sign:
        return find(library, args, text), 1.0
    try:
        coefficient = float(number)
    except ValueError:
        coefficient = math.nan
    if not math.isfinite(coefficient):
        raise SettingsError(f"{one_line(text, 60)!r}: {one_line(number, 20)!r} is no number", "write NAME=COEFFICIENT")
    return find(library, args, name), coefficient


def add_picks(parser: argparse.ArgumentParser) -> None:
    """NAME[=COEF] ..., `--run` and `--filter`: which vectors are meant."""
    completed(parser.add_argument("names", nargs="*", metavar="NAME[=COEF]", help="vectors, times COEF (default: 1)"))
    parser.add_argument("--run", dest="of_run", metavar="RUN", help="all vectors of that run")
    parser.add_argument("--filter", metavar="FILTER", help="all vectors that match the filter")


def picked(library: Library, args: argparse.Namespace) -> list[tuple[Kept, float]]:
    """The vectors that `add_picks`' arguments name, each once, with their coefficients."""
    picks = [pick(library, args, name) for name in args.names]
    if args.of_run or args.filter:
        samples = library.first_samples()
        lines = [Line.of(entry, samples.get(entry.id)) for entry in library.entries(kept_only=False)]
        lines = [line for line in lines if not args.of_run or line.entry.run == args.of_run]
        if args.of_run and not lines:
            raise SettingsError(f"there is no run {one_line(args.of_run, 60)!r} in the library")
        named = {entry.id for entry, _ in picks}
        found = [line.entry for line in chosen(lines, args.filter or "") if line.entry.id not in named]
        picks += [(entry, 1.0) for entry in sorted(found, key=_when)]
    return picks


def _when(entry: Kept) -> tuple[float, str, int]:
    """In which order vectors were found."""
    run, _, row = entry.id.partition("/")
    return entry.created, run, natural(row) or 0


def completed(action: argparse.Action, trash: bool = False) -> None:
    """Lets the shell complete the argument with the library's names."""

    def names(parsed_args: Any, **_: Any) -> list[str]:
        entries = Library(library_folder(getattr(parsed_args, "library", None))).entries(kept_only=False, trash=trash)
        return [entry.name for entry in entries]

    action.completer = names  # type: ignore[attr-defined]
