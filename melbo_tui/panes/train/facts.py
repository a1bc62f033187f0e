"""What a form tells of its entries: what each means, and what the loaded model makes of the prompt and the blocks."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from core.engine.events import PromptMeasured
from core.errors import SettingsError
from core.model.source import default_blocks
from core.segment.objective_tokens import parse_tokens
from vectors.plain_text import one_line


class Explanation(Static):
    """What the field with the focus means, or what is wrong with it."""

    def show(self, text: str, wrong: bool) -> None:
        self.set_class(wrong, "-wrong")
        self.update(text)


class PromptFacts(Static):
    """How many tokens the prompt has, and how many of them the objective sees."""

    def __init__(self) -> None:
        super().__init__("", id="prompt-facts", markup=False)

    def show(self, measured: PromptMeasured | None, tokens: str) -> None:
        """`tokens`: which positions the objective sees, as typed."""
        if measured is None:
            self.update("")
            return
        try:
            seen = parse_tokens(tokens) or measured.tokens
        except SettingsError:
            seen = 0
        self.update(f"{measured.tokens} tokens, " + ("all count" if seen >= measured.tokens else f"last {seen} count"))
        self.tooltip = Text("the last: " + one_line(" ".join(measured.last), 60))


class DepthLine(Static):
    """The model's depth, the stretch between source and target block drawn heavy."""

    def __init__(self) -> None:
        super().__init__("", id="depth", markup=False)

    def show(self, n_blocks: int, source: int | None, target: int | None) -> None:
        """Draws it, or tells why these blocks cannot be."""
        try:
            check_blocks(n_blocks, source, target)
        except SettingsError as error:
            self.update(Text(str(error), style=self.app.theme_variables["text-error"]))
            return
        at, to = chosen_blocks(n_blocks, source, target)
        self.update(depth_line(n_blocks, at, to, 14) + f" {at} → {to}")


def chosen_blocks(n_blocks: int, source: int | None, target: int | None) -> tuple[int, int]:
    """Source and target block, the model's default in the place of None."""
    auto_source, auto_target = default_blocks(n_blocks)
    return auto_source if source is None else source, auto_target if target is None else target


def check_blocks(n_blocks: int, source: int | None, target: int | None) -> None:
    """Raises SettingsError for blocks that a model of `n_blocks` has not, or of which the target does not come later."""
    at, to = chosen_blocks(n_blocks, source, target)
    last = n_blocks - 1
    if at > last - 1:
        raise SettingsError(f"block {at} cannot be steered", f"this model takes 0 to {last - 1}")
    if to > last:
        raise SettingsError(f"block {to} does not exist", f"this model's last block is {last}")
    if to <= at:
        raise SettingsError(f"block {to} does not come after block {at}", "choose a later target block")


def depth_line(n_blocks: int, source: int, target: int, width: int) -> str:
    """The model's depth as a line of `width` cells, the stretch between source and target drawn heavy."""
    at, to = (round(i * (width - 1) / max(n_blocks - 1, 1)) for i in (source, target))
    to = max(to, at + 1)
    return "".join("●" if i in (at, to) else "━" if at < i < to else "╌" for i in range(max(width, to + 1)))
