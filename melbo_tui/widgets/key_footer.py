"""The footer: of the keys that can be pressed, as many as stand there whole."""

from __future__ import annotations

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Footer
from textual.widgets._footer import FooterKey

_PALETTE, _HELP = "-command-palette", "guide"


class KeyFooter(Footer):
    """Textual's cuts the last key that begins on the line. The palette's and the help's stand always, and know all the others.

    Textual's also makes its keys anew whenever the focus moves, and holds on to all that it ever made: each key follows the
    footer's `compact`, and followers that are gone are only forgotten when that changes. Here they are at once.
    """

    _width = 0

    def compose(self) -> ComposeResult:
        for followers in getattr(self, "__watchers", {}).values():
            followers[:] = [(widget, callback) for widget, callback in followers if not widget._closing]
        keys: list[Widget] = list(super().compose())
        self._width = self.app.size.width
        left = self._width + 1  # nothing stands behind the last one's gap
        left -= sum(_cells(key) + key.has_class(_PALETTE) for key in keys if _always(key))
        for key in keys:
            left -= 0 if _always(key) else _cells(key)
            if left >= 0 or _always(key):
                yield key

    async def on_resize(self, event: Resize) -> None:
        if self.app.size.width != self._width:
            await self.recompose()


def _always(key: Widget) -> bool:
    return key.has_class(_PALETTE) or (isinstance(key, FooterKey) and key.action.removeprefix("app.") == _HELP)


def _cells(key: Widget) -> int:
    """What a key takes of the line, with the gap behind it."""
    return cell_len(f"{key.key_display} {key.description} ") if isinstance(key, FooterKey) else 0
