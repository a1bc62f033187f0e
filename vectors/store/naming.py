"""Expressions over a library's vectors: what a text writes, and which vector each of its names means."""

from __future__ import annotations

from vectors.expression import Expression, ambiguous_name, parse, unknown_name
from vectors.expression.tree import Named
from vectors.store.library import Library


def parsed(text: str, library: Library) -> Expression:
    """The expression that `text` writes, where a name of the library means itself, whatever it looks like.

    Raises ExpressionError for what is none; names are not looked for yet.
    """
    return parse(text, lambda name: bool(library.meant(name)))


def resolved(expression: Expression, library: Library, model: str | None = None) -> Expression:
    """`expression` with the id and the present name of every vector that it names, gates' too.

    `model`, a label, decides between vectors of one name. Raises ExpressionError at the name that is unknown or ambiguous.
    """

    def find(named: Named) -> tuple[str, str]:
        found = library.meant(named.name, model)
        if not found:
            raise unknown_name(named, library.all_names())
        if len(found) > 1:
            raise ambiguous_name(named, [one.told for one in found])
        return found[0].id, found[0].name

    return expression.resolved(find)


def check_known(expression: Expression, library: Library) -> None:
    """Raises ExpressionError at a name that no vector has; which of several is meant may be settled later."""
    for named in expression.named():
        if not library.meant(named.name):
            raise unknown_name(named, library.all_names())


def read(text: str, library: Library, model: str | None = None) -> Expression:
    """The expression that `text` writes, its names resolved. Raises ExpressionError."""
    return resolved(parsed(text, library), library, model)
