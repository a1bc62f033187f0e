"""Vectors by the names that people type: NAME, NAME=COEFFICIENT, and what the shell offers to complete them with."""

from __future__ import annotations

import argparse
import math
from typing import Any

from core.errors import SettingsError
from melbo_tui.settings import library_folder
from vectors.library import Kept, Library
from vectors.plain_text import one_line


def find(library: Library, args: argparse.Namespace, name: str, trash: bool = False) -> Kept:
    return library.find(name, model_of(args), trash)


def model_of(args: argparse.Namespace) -> str | None:
    """The model whose vectors are meant, by the name they carry; None where the command names none."""
    if args.model is None:
        return None
    from core.model_source import resolve

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


def completed(action: argparse.Action, trash: bool = False) -> None:
    """Lets the shell complete the argument with the library's names."""

    def names(parsed_args: Any, **_: Any) -> list[str]:
        entries = Library(library_folder(getattr(parsed_args, "library", None))).entries(kept_only=False, trash=trash)
        return [entry.name for entry in entries]

    action.completer = names  # type: ignore[attr-defined]
