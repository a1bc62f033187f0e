"""The completion under the vector that the list stands on: its figures in the border, the whole of it to be scrolled."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget

from melbo_tui.formatting import answer_of, figures
from melbo_tui.run_state import RunState
from melbo_tui.widgets.sparing import Entitled, Sparing
from melbo_tui.widgets.thought import thought
from vectors.plain_text import one_line


class CompletionView(VerticalScroll, Entitled):
    """Follows the text while it is being generated, until somebody scrolls up."""

    BINDINGS = [Binding("escape", "leave", "Out", tooltip="Back to the list of vectors")]

    class Left(Message):
        pass

    def __init__(self) -> None:
        super().__init__(id="completion")
        self._key: str | None = None
        self._rows = 0

    def compose(self) -> ComposeResult:
        yield Sparing("", markup=False)

    def show(self, run: RunState | None, key: str | None, name: str, unfolded: bool = False) -> None:
        """The row `key` of the run, called `name`; where the run has no rows, what it is at, or why it has none."""
        shown = run.generated.get(key) if run is not None and key is not None else None
        title, text, growing = "", Text(), False
        if run is None or key is None:
            text = Text("" if run is None or run.rows() else run.without_vectors())
        else:
            text = self._completion(run, key, unfolded)
            title, growing = self._title(run, key, name), shown is not None and not shown.completion.finished
        at_end = self.scroll_offset.y >= self.max_scroll_y
        lines = self.query_one(Sparing)
        rows = len(text.wrap(self.app.console, max(self.scrollable_content_region.width, 1)))
        lines.show_text(text, fit=rows != self._rows)
        self._rows = rows
        room = self.content_size.height
        below = f"{rows} lines · {'Esc: the list' if self.has_focus else 'Enter reads'}" if rows > room > 0 else ""
        if run is not None and key in run.continuing:
            below = "generating …" + (f" · {below}" if below else "")
        self.entitle(one_line(title, max(self.size.width - 4, 20)), below)
        if key != self._key:
            self._key = key
            self.scroll_end(animate=False) if growing else self.scroll_home(animate=False)
        elif growing and at_end:
            self.scroll_end(animate=False)

    def on_focus(self) -> None:
        self._make_room(True)

    def on_blur(self) -> None:
        self._make_room(False)

    def _make_room(self, reading: bool) -> None:
        assert isinstance(self.parent, Widget)
        self.parent.set_class(reading, "-reading")

    def on_resize(self) -> None:
        self._rows = 0  # the text wraps anew

    def action_leave(self) -> None:
        self.post_message(self.Left())

    @staticmethod
    def _completion(run: RunState, key: str, unfolded: bool) -> Text:
        """The thought, folded or not, and the answer; or why there is none."""
        generated, lack = run.generated.get(key), run.lack(key)
        if generated is None:
            return Text(lack)
        completion = generated.completion
        shown = Text.assemble(thought(completion.thought, completion.thought_tokens, unfolded), answer_of(completion).strip())
        return shown.append(f"\n{lack}" if lack else "")

    @staticmethod
    def _title(run: RunState, key: str, name: str) -> str:
        generated, vector = run.generated.get(key), run.vector(key)
        facts = [name]
        if generated is not None and generated.judgement.verdict:
            facts.append(generated.judgement.verdict)
        if generated is not None:
            facts += [*figures(generated.completion), f"repeats {generated.judgement.repetition:.0%}"]
        if (kl := run.kl_to_base(key)) is not None:
            facts.append(f"KL to base {kl:.2g}")
        if vector:
            facts.append(f"objective {vector.objective:.4g}")
            facts += [f"norm {vector.norm:.3g}"] if run.family else []  # of others it is R
        return " · ".join(facts)
