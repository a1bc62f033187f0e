"""Expressions that people type in a pane: read over its library, for its model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from melbo_tui.panes.pane import Pane
from vectors.expression import Expression, ExpressionError, written
from vectors.store.index import LibraryError
from vectors.vector import ModelStamp, SteeringVector

if TYPE_CHECKING:
    from core.steering.terms import Steering
    from melbo_tui.panes.host import Host


def typed(host: Host, text: str) -> tuple[Expression, Steering]:
    """What `text` writes. Raises ExpressionError for what is no expression, or does not fit the model."""
    from core.steering.resolving import check_acts, loaded
    from vectors.store.naming import read

    model = host.model
    try:
        expression = read(text, host.library, model.label if model is not None else None)
        steering = loaded(expression, host.library)
    except LibraryError as error:
        raise ExpressionError(str(error)) from error
    if model is not None:
        stamp = ModelStamp(model.name, model.d_model, model.n_blocks, model.fingerprint, adapter=model.adapter)
        check_acts(expression, steering, stamp)
    return expression, steering


def shown(host: Host, expression: Expression) -> str:
    """`expression` as it is typed over the library, which may have names that look like expressions."""
    return written(expression, lambda name: bool(host.library.meant(name)))


def typed_vector(host: Host, text: str) -> SteeringVector:
    """The one vector that `text` comes to. Raises ExpressionError, also at a term that does more than add."""
    from core.steering.summing import one_vector

    return one_vector(*typed(host, text))


def ask(
    pane: Pane,
    title: str,
    accepts: str,
    expression: Expression,
    done: Callable[[str], object],
    check: Callable[[Host, str], object] = typed,
) -> None:
    """Asks for an expression, `expression` standing there first; `done` is given the text that was accepted, '' for none.

    `title` says what it is for, `accepts` what Enter does, and `check` raises ExpressionError for what will not do.
    """
    from melbo_tui.widgets.expression_line import ExpressionLine

    def taken(text: str | None) -> None:
        if text is not None:
            done(text)

    names: list[str] = []
    if pane.attempt(lambda: names.extend(pane.host.library.all_names())):
        text = shown(pane.host, expression)
        pane.app.push_screen(ExpressionLine(text, names, lambda line: check(pane.host, line), title, accepts), taken)
