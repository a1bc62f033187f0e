"""Widgets that are drawn again only where they have changed: a run tells of itself ten times a second, what is painted goes
through somebody's SSH, and the time it takes is taken from the training.
"""

from __future__ import annotations

from rich.text import Text
from textual.widget import Widget
from textual.widgets import Static


class Entitled(Widget):
    """A widget with a border whose titles change."""

    _titles: tuple[str, str] | None = None

    def entitle(self, title: str, subtitle: str = "") -> None:
        """Sets both titles, plain text; neither is read as markup."""
        if self._titles != (title, subtitle):
            self._titles = title, subtitle
            self.border_title, self.border_subtitle = Text(title), Text(subtitle)


class Sparing(Static):
    """A text in a place whose size does not depend on it, unless it is told to `fit`."""

    _shown: Text | None = None

    def show_text(self, text: Text, fit: bool = False) -> None:
        same = self._shown is not None and self._shown == text and self._shown.style == text.style
        if not same:
            self._shown = text
            self.update(text, layout=fit)
