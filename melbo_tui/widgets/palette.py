"""Textual's command palette, as it is opened here."""

from __future__ import annotations

from textual.command import CommandPalette

from melbo_tui.widgets.dialog import DismissedOnce


class Palette(DismissedOnce, CommandPalette):
    """It bears two Escapes in a row."""
