"""The Chat pane: a conversation with the steered model, the unsteered one beside it on a key."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from core.events import Event, ModelLoaded, Said, TaskEnded, Warned
from core.requests import Reply, ReplyRow
from core.steering import Steering
from melbo_tui.charts import sparkline
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.rack import Rack
from melbo_tui.widgets.dialogs import Choose
from vectors.index import LibraryError
from vectors.library import new_run_id
from vectors.plain_text import one_line
from vectors.recipe import Recipe
from vectors.vector import SteeringVector, VectorError

STEERED, UNSTEERED = "steered", "unsteered"
_MAX_NEW_TOKENS = 400


@dataclass
class Turn:
    """One message and its answers, by who gave them; `under` says what steered."""

    message: str
    under: str
    steering: Steering = ()
    said: dict[str, Said] = field(default_factory=dict)

    def to_json(self) -> dict[str, object]:
        terms = [{"id": t.vector.id, "name": t.vector.name, "coefficient": t.coefficient, "operation": t.operation,
                  "positions": str(t.positions)} for t in self.steering]  # fmt: skip
        return {"message": self.message, "steering": terms, "answers": {who: said.text for who, said in self.said.items()}}


class Talk(Vertical):
    """One column: the turns of a conversation as one of the two models had it, with figures under it."""

    def __init__(self, who: str) -> None:
        super().__init__(id=who, classes="talk")
        self.who = who
        self.border_title = who.capitalize()

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static("", classes="turns", markup=False)
        yield Static("", classes="figures", markup=False)

    def show(self, turns: list[Turn], waiting: bool) -> None:
        """Draws the turns; the view follows the text only while its end is in sight."""
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
                label = turn.under if self.who == STEERED else "unsteered"
                text.append(f"{label}\n", "italic " + colors["text-warning"] if self.who == STEERED else "italic dim")
                text.append(
                    (said.text.strip() if said else "…") + ("▌" if said and not said.finished and waiting else "") + "\n"
                )
            text.append("\n")
        self.query_one(".turns", Static).update(text)
        if at_end:
            scroll.scroll_end(animate=False)
        self._show_figures(turns[-1].said.get(self.who) if turns else None)

    def _show_figures(self, said: Said | None) -> None:
        figures = self.query_one(".figures", Static)
        if said is None:
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


class ChatPane(Pane):
    BINDINGS = [
        Binding("escape", "out", "Rack/stop", id="chat.out", tooltip="Stop the answer, or go from the message to the rack"),
        Binding("a", "add", "Add", id="chat.add", tooltip="Put a vector of the library on the rack"),
        Binding("b,f6", "beside", "Beside", id="chat.beside", tooltip="The unsteered answer beside the steered one"),
        Binding("g,f5", "again", "Again", id="chat.again", tooltip="Ask the last message again under the present steering"),
        Binding("n", "clear", "New", id="chat.clear", tooltip="Start a new conversation; u brings the old one back"),
        Binding("u", "undo_clear", "Undo", id="chat.undo", show=False),
        Binding("enter,i", "write", "Write", id="chat.write", show=False, tooltip="Go to the message line"),
        Binding("shift+up", "rack('move', -1)", "Pick", show=False, priority=True),
        Binding("shift+down", "rack('move', 1)", "Pick", show=False, priority=True),
        Binding("shift+left", "rack('turn', -1)", "Turn", show=False, priority=True),
        Binding("shift+right", "rack('turn', 1)", "Turn", show=False, priority=True),
    ]

    def __init__(self) -> None:
        super().__init__(id="chat")
        self.turns: list[Turn] = []
        self._cleared: list[Turn] = []
        self._talk = self._cleared_talk = new_run_id()
        self._replying: int | None = None
        self._beside = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Rack(self._keep)
            yield Talk(STEERED)
            yield Talk(UNSTEERED)
        yield Input(
            placeholder="Type a message · Enter sends · shift+←→ turns the vector · Esc: the rack",
            id="message",
            compact=True,
        )

    def on_mount(self) -> None:
        self._show()

    def shown(self) -> None:
        self.query_one("#message", Input).focus()

    def add(self, ids: tuple[str, ...]) -> None:
        """Puts vectors of the library on the rack."""
        for id in ids:
            try:
                vector = self.melbo.library.load(id)
            except (LibraryError, VectorError) as error:
                self.notify(str(error), severity="error", markup=False)
                continue
            model = self.melbo.model
            if model is not None and vector.d_model != model.d_model:
                own = vector.origin.model.label()
                self.notify(
                    f"{vector.name} has width {vector.d_model}, {model.name} has {model.d_model}: load {own} for it.",
                    severity="error",
                    markup=False,
                )
                continue
            self.query_one(Rack).add(vector)

    def take(self, event: Event) -> None:
        if isinstance(event, ModelLoaded):
            self._show()
        if event.task != self._replying or self._replying is None:
            return
        if isinstance(event, Said):
            self.turns[-1].said[event.key] = event
        elif isinstance(event, Warned):
            self.notify(event.message, severity="warning", markup=False)
        elif isinstance(event, TaskEnded):
            self._replying = None
            self._save()
            if event.outcome == "failed":
                self.notify(f"{event.message}\n{event.remedy}".strip(), severity="error", markup=False, timeout=12)
        self._show()

    @on(Rack.Changed)
    def _steering_changed(self) -> None:
        self._show()

    @on(Input.Submitted, "#message")
    def _send(self, event: Input.Submitted) -> None:
        if not event.value.strip():
            self.notify("The message is empty: type something for the model to answer.")
            return
        if self._ask(event.value.strip()):
            event.input.value = ""

    def action_again(self) -> None:
        if not self.turns:
            self.notify("Nothing has been asked yet.")
        elif self._replying is None:
            self._ask(self.turns.pop().message)

    def action_beside(self) -> None:
        self._beside = not self._beside
        self._show()
        if self._beside and self.turns and UNSTEERED not in self.turns[-1].said and self._replying is None:
            self._submit((UNSTEERED,))

    def action_clear(self) -> None:
        if self._replying is not None:
            self.melbo.engine.cancel(self._replying)
        if self.turns:
            self._cleared, self.turns = self.turns, []
            self._talk, self._cleared_talk = new_run_id(), self._talk
            self.notify("A new conversation; u brings the old one back.")
        self._show()

    def action_undo_clear(self) -> None:
        if self._cleared and not self.turns:
            self.turns, self._cleared = self._cleared, []
            self._talk = self._cleared_talk
            self._show()

    def action_out(self) -> None:
        if self._replying is not None:
            self.melbo.engine.cancel(self._replying)
        else:
            self.query_one(Rack).focus()

    def action_write(self) -> None:
        self.query_one("#message", Input).focus()

    def action_rack(self, what: str, by: int) -> None:
        rack = self.query_one(Rack)
        rack.action_move(by) if what == "move" else rack.action_turn(by)

    def action_add(self) -> None:
        try:
            entries = self.melbo.library.entries(kept_only=False)
            said = {id: sample.text for id, sample in self.melbo.library.first_samples().items()}
        except LibraryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        model = self.melbo.model
        fitting = [e for e in entries if model is None or e.d_model == model.d_model]
        if not fitting:
            self.notify("The library has no vector for this model yet: train some under Train (1).")
            return
        fitting.sort(key=lambda e: not e.kept)
        lines = [(e.id, f"{'★' if e.kept else ' '} {e.name:<14} {one_line(said.get(e.id, e.prompt), 80)}") for e in fitting]

        def chosen(id: str | None) -> None:
            if id is not None:
                self.add((id,))

        self.app.push_screen(Choose("Steer with", lines), chosen)

    def _ask(self, message: str) -> bool:
        if self.melbo.model is None:
            self.notify("The model is not loaded yet; send again in a moment.", severity="warning")
            return False
        if self._replying is not None:
            self.notify("An answer is being given: Esc stops it.", severity="warning")
            return False
        steering = self.query_one(Rack).steering
        self.turns.append(Turn(message, recipe(steering), steering))
        self._submit((STEERED, UNSTEERED) if self._beside else (STEERED,))
        return True

    def _submit(self, who: tuple[str, ...]) -> None:
        steering = self.query_one(Rack).steering
        rows = tuple(
            ReplyRow(name, self._history(name), steering if name == STEERED else (), max_new_tokens=_MAX_NEW_TOKENS)
            for name in who
        )
        self._replying = self.melbo.engine.submit(Reply(rows))
        self._show()

    def _keep(self, terms: tuple[tuple[str, float], ...], name: str) -> SteeringVector | None:
        """Keeps the sum of coefficient x vector, by id, as a mixture; None, and a word why, where they do not fit together."""
        library = self.melbo.library
        saved: list[SteeringVector] = []
        self.attempt(lambda: saved.append(library.load(library.save_mixture(Recipe(terms), name).id)))
        return saved[0] if saved else None

    def _save(self) -> None:
        """Puts the conversation in the library, so that it outlives the program."""
        self.attempt(lambda: self.melbo.library.save_talk(self._talk, [turn.to_json() for turn in self.turns]))

    def _history(self, who: str) -> tuple[tuple[str, str], ...]:
        """The conversation as `who` had it; a turn it did not answer is told with the other's answer."""
        messages: list[tuple[str, str]] = []
        for turn in self.turns:
            messages.append(("user", turn.message))
            said = turn.said.get(who) or next(iter(turn.said.values()), None)
            if turn is not self.turns[-1]:
                messages.append(("assistant", said.text if said else ""))
        return tuple(messages)

    def _show(self) -> None:
        rack = self.query_one(Rack)
        steered, unsteered = self.query_one(f"#{STEERED}", Talk), self.query_one(f"#{UNSTEERED}", Talk)
        unsteered.display = self._beside
        # Content, not a string: names are other people's words and must not be read as markup.
        title = f"Steered · {recipe(rack.steering)}" if rack.steering else "Unsteered (the rack is empty)"
        steered.border_title = Content(title)
        steered.border_subtitle = "F5 again · F6 alone" if self._beside else "F5 again · F6 unsteered beside"
        waiting = self._replying is not None
        steered.show(self.turns, waiting)
        if self._beside:
            unsteered.show(self.turns, waiting)


def recipe(steering: Steering) -> str:
    """A steering in a line: `1.5 bomb-03 - 0.5 calm-02`."""
    if not steering:
        return "unsteered"
    parts = []
    for i, term in enumerate(steering):
        name = one_line(term.vector.name, 24)
        if term.operation != "add":
            parts.append(f"{', ' if i else ''}{term.operation} {name}")
            continue
        sign = "−" if term.coefficient < 0 else "+" if i else ""
        parts.append(f"{sign}{' ' if i else ''}{abs(term.coefficient):g} {name}")
    return " ".join(parts)
