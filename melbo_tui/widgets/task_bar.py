"""The line above the footer: what the longest task is doing, how far it is, how fast, how long it will take."""

from __future__ import annotations

from rich.text import Text

from core.engine.events import Progressed
from melbo_tui.breakpoints import is_wide
from melbo_tui.charts import bar
from melbo_tui.formatting import duration
from melbo_tui.widgets.sparing import Sparing


class TaskBar(Sparing):
    DEFAULT_CSS = """
    TaskBar { height: 1; padding: 0 1; color: $text; display: none; }
    TaskBar.-busy { display: block; }
    """

    def show(self, progress: Progressed | None, paused: bool = False) -> None:
        """Shows `progress`, or hides when there is none."""
        self.set_class(progress is not None, "-busy")
        if progress is None:
            return
        line = Text(no_wrap=True, overflow="ellipsis")
        if progress.total:
            width = 30 if is_wide(self.app) else 8
            line.append("▕", "dim")
            line.append(bar(progress.done / progress.total, width), self.app.theme_variables["primary"])
            line.append("▏ ", "dim")
        line.append("paused" if paused else progress.stage, "bold")
        if progress.total > 1:
            line.append(f" · {int(progress.done)} of {progress.total:g}")
        elif progress.total:
            line.append(f" · {progress.done / progress.total:.0%}")
        if progress.rate:
            each = 1 / progress.rate
            slow = f"{each:.1f} s" if each < 10 else duration(each)
            line.append(f" · {slow} each" if each > 1 else f" · {progress.rate:.2g}/s")
        if progress.eta is not None and not paused:
            line.append(f" · {duration(progress.eta)} left")
        self.show_text(line)
