"""The keys at the bottom."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Footer


class KeyFooter(Footer):
    """Textual's footer, which makes its keys anew whenever the focus moves, and holds on to all that it ever made: each key
    follows the footer's `compact`, and followers that are gone are only forgotten when that changes. Here they are at once.
    """

    def compose(self) -> ComposeResult:
        for followers in getattr(self, "__watchers", {}).values():
            followers[:] = [(widget, callback) for widget, callback in followers if not widget._closing]
        yield from super().compose()
