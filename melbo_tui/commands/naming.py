"""Vectors as people type them: names and expressions, and what the shell offers to complete them with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from core.errors import SettingsError
from melbo_tui.settings import library_folder
from vectors.expression import Expression, ExpressionError, Term, completed_texts
from vectors.plain_text import natural, one_line
from vectors.store import naming
from vectors.store.library import Kept, Library
from vectors.store.query import chosen, lines_of


class NoExpression(ExpressionError):
    """A text that cannot be read: wrong usage, where a name that nothing bears is not."""


def find(library: Library, args: argparse.Namespace, name: str, trash: bool = False) -> Kept:
    return library.find(name, model_of(args), trash)


def model_of(args: argparse.Namespace) -> str | None:
    """The model whose vectors are meant, by the name they carry; None where the command names none."""
    if args.model is None:
        return None
    from core.model.source import resolve

    return resolve(args.model).wearing(args.adapter).label


def parsed(library: Library, texts: list[str]) -> list[Expression]:
    """The expressions that `texts` write, their names not looked for yet. Raises NoExpression."""
    try:
        return [naming.parsed(text, library) for text in texts]
    except ExpressionError as error:
        raise NoExpression(error.wrong, error.text, error.column) from None


def read(library: Library, args: argparse.Namespace, texts: list[str]) -> list[Expression]:
    """The expressions that `texts` write, their names resolved. Raises ExpressionError."""
    model = model_of(args)
    return [naming.resolved(expression, library, model) for expression in parsed(library, texts)]


def add_picks(parser: argparse.ArgumentParser, metavar: str, help: str) -> None:
    """Expressions, `--run` and `--filter`: which vectors are meant."""
    completed_expression(parser.add_argument("names", nargs="*", metavar=metavar, help=help))
    parser.add_argument("--run", dest="of_run", metavar="RUN", help="all vectors of that run")
    parser.add_argument("--filter", metavar="FILTER", help="all vectors that match the filter")


def picked(library: Library, args: argparse.Namespace) -> list[Expression]:
    """What `add_picks`' arguments name: expressions, then those vectors of the run or the filter that are none of them."""
    picks = read(library, args, args.names)
    if args.of_run or args.filter:
        lines = lines_of(library, library.entries(kept_only=False))
        lines = [line for line in lines if not args.of_run or line.entry.run == args.of_run]
        if args.of_run and not lines:
            raise SettingsError(f"there is no run {one_line(args.of_run, 60)!r} in the library")
        named = {expression.terms[0].id for expression in picks if len(expression) == 1}
        more = [line.entry for line in chosen(lines, args.filter or "") if line.entry.id not in named]
        picks += [Expression((Term(entry.name, id=entry.id),)) for entry in sorted(more, key=_when)]
    return picks


def _when(entry: Kept) -> tuple[float, str, int]:
    """Its place among vectors in the order in which they were made."""
    run, _, row = entry.id.partition("/")
    return entry.created, run, natural(row) or 0


def completed(action: argparse.Action, trash: bool = False) -> None:
    """Lets the shell complete the argument with the library's names."""
    _complete(action, lambda typed, names: names, trash)


def completed_expression(action: argparse.Action) -> None:
    """Lets the shell complete the names inside the expression that the argument is, and what stands behind @."""
    _complete(action, completed_texts)


def _complete(action: argparse.Action, texts: Callable[[str, list[str]], list[str]], trash: bool = False) -> None:
    def completer(prefix: str, parsed_args: Any, **_: Any) -> list[str]:
        library = Library(library_folder(getattr(parsed_args, "library", None)))
        return texts(prefix, [entry.name for entry in library.entries(kept_only=False, trash=trash)])

    action.completer = completer  # type: ignore[attr-defined]
