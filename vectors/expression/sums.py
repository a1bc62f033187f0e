"""Expressions that add vectors and do nothing else: what can be made one vector of."""

from __future__ import annotations

from vectors.expression.blocks import OWN_BLOCKS
from vectors.expression.tokens import ALL_TOKENS
from vectors.expression.tree import Expression, Term
from vectors.expression.words import number_text, written_name


def check_sum(expression: Expression, parts: bool = True) -> None:
    """Raises ExpressionError at the first term that does more than add its vector on all tokens; without `parts`, also at one
    that names blocks."""
    for term in expression:
        if more := _more(term, parts):
            size = "" if term.coefficient == 1 else f"{number_text(term.coefficient)} "
            alone = f"{size}{written_name(term.name or term.id)}"
            raise term.place.error(
                f"a vector is only multiplied and added here, and {more}: write {alone} alone, or steer with it"
            )


def _more(term: Term, parts: bool) -> str:
    """What `term` does beside adding its vector; nothing where it does no more."""
    if term.operation == "ablate":
        return "! removes a component"
    if term.operation != "add":
        return "@set sets a component" if term.operation == "set" else f"@{term.operation} acts by the stream's own norm"
    if term.tokens != ALL_TOKENS:
        return f"@{term.tokens} picks tokens"
    if term.gate is not None:
        return f"@{term.gate} opens by the stream itself"
    return "" if parts or term.blocks == OWN_BLOCKS else f"@blocks:{term.blocks} picks blocks"
