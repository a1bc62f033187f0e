"""What is compared with a vector of the list, or exported, typed as an expression that comes to one vector."""

from __future__ import annotations

from collections.abc import Callable

from melbo_tui.panes import expressions
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.vectors.compare import Compare
from vectors.expression import Expression, Term
from vectors.plain_text import one_line
from vectors.store.library import Kept
from vectors.vector import SteeringVector


def compare(pane: Pane, entry: Kept) -> None:
    """Compares the vector with what an expression comes to."""

    def done(text: str) -> None:
        if text:
            library, other = pane.host.library, expressions.typed_vector(pane.host, text)
            pane.attempt(lambda: pane.app.push_screen(Compare(library, entry, library.get(other.id) if other.id else other)))

    title = f"Compare {one_line(entry.name, 40)} with (or mark two with x)"
    expressions.ask(pane, title, "compares", Expression(), done, expressions.typed_vector)


def export(pane: Pane, here: Kept | None, then: Callable[[SteeringVector], object]) -> None:
    """Asks for an expression, `here` standing there first, and gives its vector on."""

    def done(text: str) -> None:
        if text:
            pane.attempt(lambda: then(expressions.typed_vector(pane.host, text)))

    first = Expression((Term(here.name, id=here.id),)) if here is not None else Expression()
    expressions.ask(pane, "Export", "asks for a file", first, done, expressions.typed_vector)
