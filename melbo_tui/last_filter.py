"""What everything that is drawn passes at the end, so that text which nobody cleaned does no more than look odd."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.events import Event, Paste
from textual.filter import LineFilter

from vectors.plain_text import harmful, is_mark, one_line, printable

# ASCII, Latin, and the signs that interfaces are drawn with: nothing among them acts, or takes no cell.
_PLAIN = re.compile("[ -~\u00a1-\u00ac\u00ae-\u02ff\u2010-\u2027\u2030-\u205e\u2190-\u2bff]*")
_JOINER, _AS_PICTURE = "\u200d", "\ufe0f"


def drawn(text: str) -> str:
    """`text` as it may be drawn: without characters that act on a terminal, and in as many cells as were counted for it."""
    return text if _PLAIN.fullmatch(text) else _drawn(text)


@lru_cache(4096)
def _drawn(text: str) -> str:
    """Of what a joiner joins only the first is counted: it is kept where both are pictures, else what follows would be drawn
    over the neighbours.
    """
    kept: list[str] = []
    before, joined = "", False
    for character, harms in harmful(text):
        if joined:
            joined = False
            if _is_picture(before) and _is_picture(character):
                kept += [_JOINER, character]
        elif character == _JOINER:
            joined = True
        elif harms or character in "\n\t":
            before = " " * cell_len(character)
            kept.append(before)
        elif character == _AS_PICTURE:
            kept.append(character if cell_len(before + character) > cell_len(before) else "")
        elif cell_len(character):
            kept.append(character)
            before = character
        elif is_mark(character) or (_is_picture(before) and unicodedata.category(character) == "Sk"):
            kept.append(character)
    return set_cell_size("".join(kept), cell_len(text))


def _is_picture(character: str) -> bool:
    return unicodedata.category(character or " ") == "So"


class LastFilter(LineFilter):
    """Cleans the text of every segment, and takes its hyperlink: a terminal would follow what a stranger wrote."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(drawn(text), style.update_link(None) if style is not None and style.link else style, control)
            for text, style, control in segments
        ]


class FilteredApp(App[None]):
    """An app that draws nothing, and is pasted nothing, that acts on a terminal."""

    _last_filter = LastFilter()

    def get_line_filters(self) -> Sequence[LineFilter]:
        return [*super().get_line_filters(), self._last_filter]

    def notify(self, message: str, *, title: str = "", **how: Any) -> None:
        """Textual's, with clean words; they are markup only where `markup` says so."""
        super().notify(printable(message), title=one_line(title), **{"markup": False, **how})

    async def on_event(self, event: Event) -> None:
        if isinstance(event, Paste):
            event.text = printable(event.text)
        await super().on_event(event)
