"""What the model says under the vector that the list stands on: a line of figures, then the whole answer."""

from __future__ import annotations

from rich.text import Text

from melbo_tui.run_state import RunState, verdict
from melbo_tui.widgets.sparing import Sparing
from melbo_tui.widgets.thought import thought
from melbo_tui.wording import answer_of
from vectors.plain_text import one_line


class Heard(Sparing):
    def __init__(self) -> None:
        super().__init__("", id="heard", markup=False)

    def show(self, run: RunState | None, key: str | None, name: str, unfolded: bool = False) -> None:
        """The row `key` of the run, called `name`; where the run has no rows, what it is at, or why it has none."""
        said = run.said.get(key) if run is not None and key is not None else None
        if run is None or key is None or said is None:
            self.show_text(Text("" if run is None or run.rows() else run.without_finds()))
            return
        found = run.vector(key)
        facts = [name, *([verdict(said)] if verdict(said) else [])]
        if found:
            facts += [f"effect {found.objective:.4g}", f"norm {found.norm:.3g}"]
        if (kl := run.kl_to_base(key)) is not None:
            facts.append(f"KL to base {kl:.2g}")
        if said.mean_kl is not None:
            facts.append(f"KL {said.mean_kl:.2f}")
        if said.perplexity is not None:
            facts.append(f"perplexity {min(said.perplexity, 99999):.3g}")
        facts.append(f"repeats {said.repetition:.0%}")
        figures = one_line(" · ".join(facts), max(self.size.width, 20)) + "\n"
        thinking = thought(said.thought, said.thought_tokens, unfolded)
        self.show_text(Text.assemble((figures, "bold"), thinking, answer_of(said).strip()))
