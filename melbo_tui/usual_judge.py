"""The judge that the app's settings name: who reads completions beside the marks where nobody else is named."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from textual.app import SystemCommand

from melbo_tui.attempts import why_not
from vectors.plain_text import one_line

if TYPE_CHECKING:
    from textual.screen import Screen

    from melbo_tui.settings import Settings

_HINT = """Who reads completions beside the marks in survey and behaviours, and in `evaluate judge`: a command that is told JSON
lines, the http(s) address of an endpoint (http://localhost:8000/v1#MODEL), a chat model's folder or hub id; empty: nobody. What
is measured, and the --judge of a command, may name another. See docs/verdicts.md."""


class _App(Protocol):
    settings: Settings

    def remember(self, *, judge: str) -> None: ...

    def push_screen(self, screen: Screen[str | None]) -> object: ...

    def notify(self, message: str, *, markup: bool) -> None: ...


def commands(app: _App) -> Iterable[SystemCommand]:
    """What the command palette offers."""
    about = "Who reads completions beside the marks: a command, an endpoint, a chat model"
    yield SystemCommand("Judge of completions", about, partial(_ask, app))


def _ask(app: _App) -> None:
    from core.evaluation.declarations.judge import told_judge
    from melbo_tui.widgets.dialogs import Ask

    def attempt(text: str) -> str:
        """Remembers the judge; gives why there can be none such."""
        told: list[str] = []
        if wrong := why_not(lambda: told.append(told_judge(text))):
            return wrong
        app.remember(judge=text if told[0] else "")
        app.notify(f"Completions are judged by {told[0]}." if told[0] else "Completions are judged by nobody.", markup=False)
        return ""

    hint = " ".join(_HINT.split())
    app.push_screen(Ask("Judge of completions", one_line(app.settings.judge), hint, attempt=attempt, optional=True))
