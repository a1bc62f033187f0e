"""Two vectors side by side: what they have in common, and the completions under each."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from melbo_tui.formatting import thought_for
from melbo_tui.widgets.dialog import Dialog
from vectors.block_ranges import ranges
from vectors.plain_text import one_line
from vectors.store.library import Kept, Library


class Compare(Dialog[None]):
    """Raises LibraryError or VectorError, when it is made, where one of the two cannot be read."""

    DEFAULT_CSS = """
    Compare { align: center middle; }
    Compare > Vertical { width: 96%; height: 92%; padding: 0 1; background: $surface; border: round $primary; }
    Compare #between { height: auto; margin-bottom: 1; }
    Compare VerticalScroll { width: 1fr; border: round $primary 40%; padding: 0 1; }
    """
    BINDINGS = [("escape,q", "dismiss(None)", "Close")]

    def __init__(self, library: Library, one: Kept, other: Kept) -> None:
        super().__init__()
        self._pair = (one, other)
        self._vectors = [library.load(entry.id) for entry in self._pair]
        self._samples = {entry.id: library.samples(entry.id) for entry in self._pair}

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Compare"
            box.border_subtitle = "Esc closes"
            yield Static(self._between(), id="between", markup=False)
            with Horizontal():
                for i, entry in enumerate(self._pair):
                    with VerticalScroll() as side:
                        side.border_title = Text(entry.name)
                        yield Static(self._side(entry, self._pair[1 - i]), markup=False)

    def _between(self) -> Text:
        one, other = self._vectors
        text = Text()
        if one.d_model == other.d_model:
            text.append(f"cosine {one.cosine(other):+.3f}", "bold")
            text.append(f"   norms {one.norm:.4g} and {other.norm:.4g}")
        else:
            text.append(f"widths {one.d_model} and {other.d_model}: they belong to different models", "bold")
        return text

    def _side(self, entry: Kept, other: Kept) -> Text:
        """The vector's facts, those that differ from the other's in bold, and its samples."""
        text = Text()
        facts = {e.id: self._facts(e) for e in (entry, other)}
        for name, value in facts[entry.id].items():
            text.append(f"{name:<10}", "dim")
            text.append(value + "\n", "bold" if facts[other.id].get(name) != value else "")
        if not self._samples[entry.id]:
            text.append("\nno samples yet: space in the list makes some", "dim")
        for sample in self._samples[entry.id]:
            text.append(f"\n{sample.coefficient:+g}  ", "bold " + self.app.theme_variables["primary"])
            completion = sample.completion
            thought = f"({thought_for(completion.thought, completion.thought_tokens)}) " if completion.thought else ""
            text.append(thought, "dim")
            text.append(completion.text.strip() + "\n")
        return text

    def _facts(self, entry: Kept) -> dict[str, str]:
        origin = entry.origin
        loss = "" if origin.loss is None else f"{origin.loss:.4g}"
        facts = {
            "model": entry.model, "method": entry.method, "block": ranges(entry.blocks), "target": str(origin.target or ""),
            "norm": f"{entry.norm:.4g}", "loss": loss, "seed": str(origin.seed if origin.seed is not None else ""),
            "prompt": one_line(entry.prompt, 200), "tags": " ".join(entry.tags), "note": one_line(entry.note, 200),
        }  # fmt: skip
        return {name: value for name, value in facts.items() if value}
