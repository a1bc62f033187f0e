"""`melbo-tui vectors keep|rename|tag|note|rate|mix|join|delete|restore`: what people say of vectors and make of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from core.errors import SettingsError
from core.steering.resolving import loaded
from core.steering.summing import one_vector
from melbo_tui.commands.naming import completed, completed_expression, find, read
from melbo_tui.commands.output import say_done
from melbo_tui.commands.running import open_library
from vectors.block_ranges import places
from vectors.expression import Expression, Term
from vectors.expression.blocks import OWN_BLOCKS
from vectors.expression.sums import check_sum
from vectors.mixture import joined, projected_off, rescaled
from vectors.plain_text import natural, one_line
from vectors.recipe import Recipe, average, orthogonalised
from vectors.store.curation import MAX_RATING
from vectors.store.library import Kept, Library
from vectors.vector import VectorError, check_compatible, check_one_model


def add_actions(action: Any) -> None:
    keeping = action("keep", _keep, "Keep vectors.")
    completed(keeping.add_argument("names", nargs="+", metavar="NAME"))
    keeping.add_argument("--drop", action="store_true", help="no longer keep them; they stay with their runs")
    renaming = action("rename", _rename, "Give a vector another name, which keeps it.")
    completed(renaming.add_argument("name", metavar="NAME"))
    renaming.add_argument("new", metavar="NEW")
    tagging = action("tag", _tag, "Tag vectors.")
    completed(tagging.add_argument("names", nargs="+", metavar="NAME"))
    tagging.add_argument("--add", action="append", default=[], metavar="TAG", help="a tag to add (repeatable)")
    tagging.add_argument("--remove", action="append", default=[], metavar="TAG", help="a tag to remove (repeatable)")
    noting = action("note", _note, "Write a note on a vector.")
    completed(noting.add_argument("name", metavar="NAME"))
    noting.add_argument("text", metavar="TEXT")
    rating = action("rate", _rate, f"Rate vectors from 0 to {MAX_RATING}.")
    rating.add_argument("rating", metavar="N", help=f"0 to {MAX_RATING}, or none")
    completed(rating.add_argument("names", nargs="+", metavar="NAME"))
    mixing = action("mix", _mix, "Sum vectors, as in '0.5 a - b'; the recipe is kept.")
    completed_expression(
        mixing.add_argument("terms", nargs="+", metavar="EXPRESSION", help="a sum; several are added up (also: NAME=COEF)")
    )
    mixing.add_argument("--name", metavar="NEW", help="what to call it (default: the recipe)")
    mixing.add_argument("--average", action="store_true", help="take the mean")
    mixing.add_argument("--norm", type=float, metavar="X", help="rescale it to this norm")
    mixing.add_argument("--off", action="append", default=[], metavar="NAME", help="project this vector out (repeatable)")
    mixing.add_argument(
        "--orthogonalise", action="store_true", help="instead of a sum: orthogonalise them in order (Gram-Schmidt)"
    )
    joining = action("join", _join, "Make one vector over many blocks of vectors of different blocks.")
    completed(joining.add_argument("names", nargs="+", metavar="NAME"))
    joining.add_argument("--name", required=True, metavar="NEW", help="what to call it")
    deleting = action("delete", _delete, "Move vectors to the trash.")
    completed(deleting.add_argument("names", nargs="+", metavar="NAME"))
    restoring = action("restore", _restore, "Take vectors out of the trash.")
    completed(restoring.add_argument("names", nargs="+", metavar="NAME"), trash=True)


def _keep(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.keep([find(library, args, name).id for name in args.names], not args.drop)
    return say_done(args, f"{'dropped' if args.drop else 'kept'} {len(args.names)}", args.names)


def _rename(args: argparse.Namespace) -> int:
    library = open_library(args)
    name = library.rename(find(library, args, args.name).id, args.new)
    return say_done(args, f"{one_line(args.name)} is now {name}", [name])


def _tag(args: argparse.Namespace) -> int:
    if not args.add and not args.remove:
        raise SettingsError("no tag was given", "use --add TAG or --remove TAG")
    library = open_library(args)
    library.tag([find(library, args, name).id for name in args.names], args.add, args.remove)
    return say_done(args, f"tagged {len(args.names)}", args.names)


def _note(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.note(find(library, args, args.name).id, args.text)
    return say_done(args, "noted", [args.name])


def _rate(args: argparse.Namespace) -> int:
    rating = natural(args.rating)
    if args.rating != "none" and rating is None:
        raise SettingsError(f"{one_line(args.rating, 20)!r} is no rating", f"rate from 0 to {MAX_RATING}, or none")
    library = open_library(args)
    library.rate([find(library, args, name).id for name in args.names], rating)
    return say_done(args, f"rated {len(args.names)}", args.names)


def _mix(args: argparse.Namespace) -> int:
    library = open_library(args)
    expressions = read(library, args, args.terms)
    asked = sum(expressions, Expression())
    terms = asked.terms
    plainly = args.orthogonalise or args.average
    for expression in expressions:
        check_sum(expression, parts=not plainly)
    ids = [term.id for term in terms]
    off = tuple(find(library, args, name).id for name in args.off)
    if any(term.blocks != OWN_BLOCKS for term in terms):
        # A recipe is of whole vectors, so that a mixture of parts is kept by its numbers.
        mixed = one_vector(asked, loaded(asked, library))
        name = args.name or mixed.name
        mixed = projected_off(mixed, [library.load(id) for id in off]) if off else mixed
        mixed = rescaled(mixed, args.norm) if args.norm is not None else mixed
        return _said_kept(args, [library.get(one.id) for one in library.add([mixed.renamed(name)])])
    if args.orthogonalise:
        if args.average or args.norm or off or any(term.coefficient != 1 for term in terms):
            raise SettingsError("--orthogonalise takes names alone", "leave out coefficients and the other options")
        recipes = orthogonalised(ids)[1:]
    elif args.average:
        if any(term.coefficient != 1 for term in terms):
            raise SettingsError("an average takes names alone", "leave out the coefficients")
        recipes = [Recipe(average(ids).terms, args.norm, off)]
    else:
        recipes = [Recipe(tuple((term.id, term.coefficient) for term in terms), args.norm, off)]
    _check_together(library, terms)
    names = library.names()
    made = [library.save_mixture(recipe, args.name or recipe.written(names)) for recipe in recipes]
    return _said_kept(args, made)


def _said_kept(args: argparse.Namespace, made: Sequence[Kept]) -> int:
    told = ", ".join(f"{entry.name} (norm {entry.norm:.4g})" for entry in made)
    return say_done(args, f"kept {told}", [entry.name for entry in made])


def _check_together(library: Library, terms: Sequence[Term]) -> None:
    """Raises ExpressionError at the first vector that cannot be added to the one before them all."""
    first, *others = [library.load(term.id) for term in terms]
    single = all(len(vector.blocks) == 1 for vector in (first, *others))
    for term, other in zip(terms[1:], others, strict=True):
        try:
            (check_compatible if single else check_one_model)([first, other])
        except VectorError as error:
            raise term.place.error(str(error)) from None


def _join(args: argparse.Namespace) -> int:
    library = open_library(args)
    ids = [find(library, args, name).id for name in args.names]
    (saved,) = library.add([joined([library.load(id) for id in ids], args.name)])
    return say_done(args, f"kept {saved.name}: {places(saved.blocks)}, norm {saved.norm:.4g}", [saved.name])


def _delete(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.delete([find(library, args, name).id for name in args.names])
    return say_done(args, f"{len(args.names)} in the trash; `melbo-tui vectors restore NAME` brings them back", args.names)


def _restore(args: argparse.Namespace) -> int:
    library = open_library(args)
    library.restore([find(library, args, name, trash=True).id for name in args.names])
    return say_done(args, f"restored {len(args.names)}", args.names)
