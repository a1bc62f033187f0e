"""Two vectors side by side: what they have in common, and the completions under each."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from core.evaluation.judging import judge
from melbo_tui.formatting import answer_of, thought_for
from melbo_tui.widgets.dialog import Dialog
from vectors.block_ranges import ranges
from vectors.plain_text import one_line
from vectors.store.library import Kept, Library
from vectors.vector import SteeringVector


class Compare(Dialog[None]):
    """Raises LibraryError or VectorError, when it is made, where one of the two cannot be read."""

    DEFAULT_CSS = """
    Compare { align: center middle; }
    Compare > Vertical { width: 96%; height: 92%; padding: 0 1; background: $surface; border: round $primary; }
    Compare #between { height: auto; margin-bottom: 1; }
    Compare VerticalScroll { width: 1fr; border: round $primary 40%; padding: 0 1; }
    """
    BINDINGS = [("escape,q", "dismiss(None)", "Close")]

    def __init__(self, library: Library, *pair: Kept | SteeringVector) -> None:
        """Of the two, a vector that is not the library's is what an expression comes to."""
        super().__init__()
        self._vectors = [library.load(one.id) if isinstance(one, Kept) else one for one in pair]
        self._samples = [library.samples(one.id) if isinstance(one, Kept) else [] for one in pair]
        entries = [one if isinstance(one, Kept) else None for one in pair]
        self._all_facts = [_facts(vector, entry) for vector, entry in zip(self._vectors, entries, strict=True)]

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Compare"
            box.border_subtitle = "Esc closes"
            yield Static(self._between(), id="between", markup=False)
            with Horizontal():
                for i, vector in enumerate(self._vectors):
                    with VerticalScroll() as side:
                        side.border_title = Text(vector.name)
                        yield Static(self._side(i), markup=False)

    def _between(self) -> Text:
        one, other = self._vectors
        text = Text()
        if one.d_model == other.d_model:
            text.append(f"cosine {one.cosine(other):+.3f}", "bold")
            text.append(f"   norms {one.norm:.4g} and {other.norm:.4g}")
        else:
            text.append(f"widths {one.d_model} and {other.d_model}: they belong to different models", "bold")
        return text

    def _side(self, side: int) -> Text:
        """The vector's facts, those that differ from the other's in bold, and its samples."""
        text = Text()
        other = self._all_facts[1 - side]
        for name, value in self._all_facts[side].items():
            text.append(f"{name:<10}", "dim")
            text.append(value + "\n", "bold" if other.get(name) != value else "")
        if not self._samples[side]:
            kept = bool(self._vectors[side].id)
            none = "no samples yet: space in the list makes some" if kept else "an expression has no samples: mix it to keep it"
            text.append(f"\n{none}", "dim")
        for sample in self._samples[side]:
            text.append(f"\n{sample.coefficient:+g}  ", "bold " + self.app.theme_variables["primary"])
            completion = sample.completion
            thought = f"({thought_for(completion.thought, completion.thought_tokens)}) " if completion.thought else ""
            text.append(thought, "dim")
            text.append(answer_of(completion).strip())
            verdict = judge(completion, sample.prompt).verdict
            text.append(f"  {verdict}\n" if verdict else "\n", "dim")
        return text


def _facts(vector: SteeringVector, entry: Kept | None) -> dict[str, str]:
    """What is known of it; `entry` has what people said of a vector of the library."""
    origin = vector.origin
    loss = "" if origin.loss is None else f"{origin.loss:.4g}"
    prompt = origin.prompts[0] if origin.prompts else ""
    facts = {
        "model": origin.model.label(), "method": origin.method, "block": ranges(vector.blocks),
        "target": str(origin.target or ""), "norm": f"{vector.norm:.4g}", "loss": loss,
        "seed": str(origin.seed if origin.seed is not None else ""),
        "prompt": one_line(entry.prompt if entry is not None else prompt, 200),
        "tags": " ".join(entry.tags) if entry is not None else "",
        "note": one_line(entry.note, 200) if entry is not None else "",
    }  # fmt: skip
    return {name: value for name, value in facts.items() if value}
