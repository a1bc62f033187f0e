"""A chart that redraws at most twice a second, and only while it can be seen."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual.color import Color

from melbo_tui import charts
from melbo_tui.widgets.sparing import Entitled

# Two charts at ten redraws a second fill a slow SSH link; at two they take a tenth of a core and 60 KB/s.
_REDRAW_SECONDS = 0.5

Plot = Callable[[dict[str, charts.Color]], Sequence[charts.Series]]


class Chart(Entitled):
    """Draws what `show` was last given; `empty` stands in its place while there is nothing."""

    DEFAULT_CSS = "Chart { height: 1fr; }"

    def __init__(self, empty: str, id: str | None = None) -> None:
        super().__init__(id=id)
        self._empty = empty
        self._plot: Plot = lambda colors: ()
        self._x_label = ""
        self._from_zero = False
        self._stale = False

    def on_mount(self) -> None:
        self.set_interval(_REDRAW_SECONDS, self._redraw)

    def show(self, plot: Plot, x_label: str, from_zero: bool = False, at_once: bool = False) -> None:
        """Shows what `plot`, given the theme's colours by name, makes; drawn at the next tick unless `at_once`."""
        self._plot, self._x_label, self._from_zero = plot, x_label, from_zero
        self._stale = True
        if at_once:
            self._redraw()

    def render(self) -> Text:
        colors = self._colors()
        width, height = self.size
        drawn = charts.draw(self._plot(colors), width, height, colors["axis"], self._x_label, self._from_zero)
        if not drawn:
            return Text("\n" * (height // 2) + self._empty, style="dim", justify="center")
        return Text.from_ansi(drawn, no_wrap=True)

    def _redraw(self) -> None:
        if self._stale and self.is_on_screen:
            self._stale = False
            self.refresh()

    def _colors(self) -> dict[str, charts.Color]:
        """The theme's colours that charts use, blended with the background where they should stand back."""
        theme = self.app.theme_variables
        background = Color.parse(theme["background"])
        text = Color.parse(theme["foreground"])
        if background.ansi is not None or text.ansi is not None:
            return {"main": (0, 175, 215), "faint": (118, 118, 118), "axis": (138, 138, 138), "other": (215, 135, 0)}
        main, other = Color.parse(theme["primary"]).lighten(0.15), Color.parse(theme["warning"])
        shades = {"main": main, "other": other, "faint": background.blend(text, 0.35), "axis": background.blend(text, 0.5)}
        return {name: color.rgb for name, color in shades.items()}
