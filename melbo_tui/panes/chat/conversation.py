"""One column of the chat: the turns of a conversation as the steered or the unsteered model had it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from core.engine.events import Generated
from melbo_tui.charts import sparkline
from melbo_tui.formatting import answer_of
from melbo_tui.widgets.thought import thought
from vectors.expression import ExpressionError, KeptTerm, restored
from vectors.plain_text import one_line
from vectors.store.conversations import STEERED, Turn


@dataclass
class LiveTurn:
    """A message and the completions that answer it as they come, by who gives them, under `steering`. `earlier`: those it had
    before."""

    message: str
    steering: tuple[KeptTerm, ...] = ()
    answers: dict[str, Generated] = field(default_factory=dict)
    earlier: tuple[Turn, ...] = ()

    def kept(self) -> Turn:
        """The turn as it is kept."""
        completions = {who: one.completion for who, one in self.answers.items()}
        return Turn(self.message, self.steering, completions, self.earlier)

    def asked_again(self, steering: tuple[KeptTerm, ...]) -> LiveTurn:
        """The same message, to be answered anew; the answers before are not forgotten."""
        before = (replace(self.kept(), earlier=()),) if self.answers else ()
        return LiveTurn(self.message, steering, earlier=(*self.earlier, *before))

    @classmethod
    def of(cls, turn: Turn) -> LiveTurn:
        """A turn of an earlier sitting."""
        answers = {who: Generated(0, who, one) for who, one in turn.completions.items()}
        return cls(turn.message, turn.steering, answers, turn.earlier)


class ConversationView(Vertical):
    """Shows the turns, with figures on the last answer under them."""

    def __init__(self, who: str) -> None:
        super().__init__(id=who, classes="conversation")
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
            text.append("No messages yet. The model answers what you type below, steered by the rack.", "dim")
        for i, turn in enumerate(turns):
            answer = turn.answers.get(self.who)
            completion = answer.completion if answer is not None else None
            text.append("you  ", "bold " + colors["primary"])
            text.append(turn.message + "\n")
            if completion is not None or (waiting and i == len(turns) - 1):
                label = recipe(turn.steering) if self.who == STEERED else "unsteered"
                text.append(f"{label}\n", "italic " + colors["text-warning"] if self.who == STEERED else "italic dim")
                if completion is None:
                    text.append("…\n")
                else:
                    text.append_text(thought(completion.thought, completion.thought_tokens, unfolded, "F8"))
                    text.append(answer_of(completion).strip() + ("\n" if completion.finished or not waiting else "▌\n"))
            text.append("\n")
        self.query_one(".turns", Static).update(text)
        if at_end:
            scroll.scroll_end(animate=False)
        self._show_figures(turns[-1].answers.get(self.who) if turns else None)

    def _show_figures(self, answer: Generated | None) -> None:
        figures = self.query_one(".figures", Static)
        if answer is None or not answer.completion.tokens:
            figures.update("")
            return
        completion = answer.completion
        parts = []
        if completion.mean_kl is not None:
            parts.append(
                " ".join(["KL", *([sparkline(completion.kl, 12)] if completion.kl else []), f"{completion.mean_kl:.2f}"])
            )
        if completion.perplexity is not None:
            parts.append(f"perplexity {min(completion.perplexity, 99999):.3g}")
        parts.append(f"repeats {answer.judgement.repetition:.0%}")
        if answer.tokens_per_second:
            parts.append(f"{answer.tokens_per_second:.1f} tokens/s")
        figures.update(Text(" · ".join(parts)))  # a second line where the pane is narrow


def recipe(terms: Sequence[KeptTerm]) -> str:
    """A steering in a line, as an expression: `1.5 bomb-03 - 0.5 calm-02`."""
    try:
        return one_line(str(restored(terms)), 400) or "unsteered"
    except ExpressionError:  # what a stranger's file keeps may be no term
        return STEERED
