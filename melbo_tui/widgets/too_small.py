"""What covers everything, dialogs too, where the terminal is too small for it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.geometry import Size
from textual.widgets import Static

from melbo_tui.breakpoints import LEAST, is_too_small
from melbo_tui.widgets.dialog import Dialog


class TooSmall(Dialog[None]):
    """Goes by itself when there is room again; what is under it stays as it is, and takes no keys meanwhile."""

    DEFAULT_CSS = """
    TooSmall { align: center middle; background: $surface; }
    TooSmall Static { width: 100%; text-align: center; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", markup=False)

    def on_mount(self) -> None:
        self.fit(self.app.size)

    def fit(self, size: Size) -> None:
        """Says what is missing of the terminal's `size`, or goes. The app tells it, which knows the size first."""
        if is_too_small(size):
            needed = f"{LEAST.width}x{LEAST.height}"  # first, for it may be all there is room for
            text = f"{needed} cells are needed, and there are {size.width}x{size.height}. Make the terminal larger."
            self.query_one(Static).update(text)
        else:
            self.dismiss(None)
