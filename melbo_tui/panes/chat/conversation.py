"""One column of the chat: the turns of a conversation as one of the two models had it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from core.engine.events import Said
from melbo_tui.charts import sparkline
from melbo_tui.formatting import answer_of
from melbo_tui.widgets.thought import thought
from vectors.plain_text import one_line
from vectors.store.conversations import STEERED, Term, Turn


@dataclass
class LiveTurn:
    """A message and its answers as they come, by who gives them, under `steering`. `earlier`: those it had before."""

    message: str
    steering: tuple[Term, ...] = ()
    said: dict[str, Said] = field(default_factory=dict)
    earlier: tuple[Turn, ...] = ()

    def kept(self) -> Turn:
        """The turn as it is kept."""
        answers, thoughts = ({who: getattr(said, part) for who, said in self.said.items()} for part in ("text", "thought"))
        return Turn(self.message, self.steering, answers, self.earlier, {who: one for who, one in thoughts.items() if one})

    def asked_again(self, steering: tuple[Term, ...]) -> LiveTurn:
        """The same message, to be answered anew; what was answered before is not forgotten."""
        before = (replace(self.kept(), earlier=()),) if self.said else ()
        return LiveTurn(self.message, steering, earlier=(*self.earlier, *before))

    @classmethod
    def of(cls, turn: Turn) -> LiveTurn:
        """A turn of an earlier sitting. Of its answers only the words were kept, and the thoughts before them."""
        said = {
            who: Said(0, who, text, 0, True, thought=(before := turn.thoughts.get(who, "")), thinking=bool(before and not text))
            for who, text in turn.answers.items()
        }
        return cls(turn.message, turn.steering, said, turn.earlier)


class Talk(Vertical):
    """Shows the turns, with figures on the last answer under them."""

    def __init__(self, who: str) -> None:
        super().__init__(id=who, classes="talk")
        self.who = who
        self.border_title = who.capitalize()

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static("", classes="turns", markup=False)
        yield Static("", classes="figures", markup=False)

    def show(self, turns: Sequence[LiveTurn], waiting: bool, unfolded: bool = False) -> None:
        """Draws the turns, their thoughts `unfolded` or not; the view follows the text only while its end is in sight."""
        colors = self.app.theme_variables
        scroll = self.query_one(VerticalScroll)
        at_end = scroll.scroll_offset.y >= scroll.max_scroll_y - 2
        text = Text()
        if not turns:
            text.append("Nothing said yet. What you type below is answered under the rack's steering.", "dim")
        for i, turn in enumerate(turns):
            said = turn.said.get(self.who)
            text.append("you  ", "bold " + colors["primary"])
            text.append(turn.message + "\n")
            if said is not None or (waiting and i == len(turns) - 1):
                label = recipe(turn.steering) if self.who == STEERED else "unsteered"
                text.append(f"{label}\n", "italic " + colors["text-warning"] if self.who == STEERED else "italic dim")
                if said is not None:
                    text.append_text(thought(said.thought, said.thought_tokens, unfolded, "F8"))
                text.append(
                    (answer_of(said).strip() if said else "…") + ("▌" if said and not said.finished and waiting else "") + "\n"
                )
            text.append("\n")
        self.query_one(".turns", Static).update(text)
        if at_end:
            scroll.scroll_end(animate=False)
        self._show_figures(turns[-1].said.get(self.who) if turns else None)

    def _show_figures(self, said: Said | None) -> None:
        figures = self.query_one(".figures", Static)
        if said is None or not said.tokens:
            figures.update("")
            return
        parts = []
        if said.mean_kl is not None:
            parts.append(f"KL {sparkline(said.kl, 12)} {said.mean_kl:.2f}")
        if said.perplexity is not None:
            parts.append(f"perplexity {min(said.perplexity, 99999):.3g}")
        parts.append(f"repeats {said.repetition:.0%}")
        if said.tokens_per_second:
            parts.append(f"{said.tokens_per_second:.1f} tokens/s")
        figures.update(Text(" · ".join(parts)))  # a second line where the pane is narrow


def recipe(terms: Sequence[Term]) -> str:
    """A steering in a line: `1.5 bomb-03 - 0.5 calm-02`."""
    if not terms:
        return "unsteered"
    parts = []
    for i, term in enumerate(terms):
        name = one_line(term.name, 24)
        if term.operation != "add":
            parts.append(f"{', ' if i else ''}{term.operation} {name}")
            continue
        sign = "−" if term.coefficient < 0 else "+" if i else ""
        parts.append(f"{sign}{' ' if i else ''}{abs(term.coefficient):g} {name}")
    return " ".join(parts)
