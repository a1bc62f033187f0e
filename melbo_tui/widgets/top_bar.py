"""The line at the top: the panes with their keys, the model, what the engine is doing."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Static

from core.engine.events import ModelLoaded
from melbo_tui.formatting import cut
from melbo_tui.widgets.sparing import Sparing
from vectors.plain_text import one_line

PANES = (("train", "Train"), ("vectors", "Vectors"), ("chat", "Chat"))


class PaneTab(Static):
    """A pane's name with its key; clicking it shows the pane."""

    class Chosen(Message):
        def __init__(self, pane: str) -> None:
            super().__init__()
            self.pane = pane

    def __init__(self, number: int, pane: str, title: str) -> None:
        super().__init__(f" F{number} {title} ", id=f"tab-{pane}", markup=False)
        self.pane = pane

    def on_click(self) -> None:
        self.post_message(self.Chosen(self.pane))


class ModelLine(Static):
    """The model's facts: as many as there is room for, whatever size the terminal takes; its name before all."""

    def __init__(self) -> None:
        super().__init__("", id="model-line", markup=False)
        self._choices: tuple[str, ...] = ("",)

    def show(self, *choices: str) -> None:
        """Shows the first of `choices` that fits, else the beginning of the last."""
        if choices != self._choices:
            self._choices = choices
            self.refresh()

    def render(self) -> Text:
        width = self.size.width
        fitting = next((line for line in self._choices if cell_len(line) <= width), self._choices[-1])
        return Text(cut(fitting, width) if width else "", no_wrap=True)


class TopBar(Horizontal):
    DEFAULT_CSS = """
    TopBar { height: 1; background: $panel; }
    TopBar PaneTab { width: auto; color: $text-muted; }
    TopBar PaneTab.-shown { background: $primary; color: $text; text-style: bold; }
    TopBar #model-line { width: 1fr; padding: 0 1; text-align: right; color: $text-muted; height: 1; }
    TopBar #engine-line { width: auto; padding: 0 1; height: 1; }
    """

    def compose(self) -> ComposeResult:
        for number, (pane, title) in enumerate(PANES, 1):
            yield PaneTab(number, pane, title)
        yield ModelLine()
        yield Sparing("", id="engine-line", markup=False)

    def show_pane(self, pane: str) -> None:
        for tab in self.query(PaneTab):
            tab.set_class(tab.pane == pane, "-shown")

    def show_model(self, model: ModelLoaded | None, instead: str = "") -> None:
        """The model's facts, or, while there is none, `instead`."""
        line = self.query_one(ModelLine)
        if model is None:
            line.show(one_line(instead))
            return
        name, place = one_line(model.label, 32), [model.dtype, model.device]
        sizes = [f"{model.n_blocks} blocks", f"d {model.d_model}"]
        line.show(*(" · ".join([name, *facts]) for facts in ([*sizes, *place], place, [model.device], [])))

    def show_engine(self, state: str, style: str) -> None:
        self.query_one("#engine-line", Sparing).show_text(Text(state, style=style, no_wrap=True), fit=True)
