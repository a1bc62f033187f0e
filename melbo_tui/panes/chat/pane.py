"""The Chat pane: a conversation with the steered model, the unsteered one beside it on a key."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input

from core.engine.events import Event, Generated, ModelLoaded, TaskEnded, Warned
from core.engine.requests import Reply, ReplyRow
from core.steering.terms import kept_terms
from core.template_arguments import written
from melbo_tui.attempts import why_not
from melbo_tui.panes.chat.conversation import ConversationView, LiveTurn, recipe
from melbo_tui.panes.chat.rack import Rack
from melbo_tui.panes.chat.rack_actions import RackActions
from melbo_tui.panes.chat.sitting import Sitting
from melbo_tui.widgets.dialogs import Choose
from vectors.store.conversations import STEERED, UNSTEERED, Conversations, messages_for

if TYPE_CHECKING:
    from core.engine.handle import Handle
    from melbo_tui.panes.host import Host

_MAX_NEW_TOKENS, _THOUGHT_TOKENS = 400, 2048
_SAVE_AGAIN = 5.0  # seconds


@dataclass(eq=False)
class _Reply:
    """The answer being given: to the last of `turns`, of the conversation `id`, be it on the screen or not."""

    id: str
    turns: list[LiveTurn]
    handle: Handle | None = None


class ChatPane(RackActions):
    BINDINGS = [
        Binding("escape", "out", "Rack", id="chat.out", tooltip="Stop the answer, or go from the message to the rack"),
        Binding("a", "add", "Add", id="chat.add", tooltip="Put a vector of the library on the rack"),
        Binding("colon", "expression", "Steer", id="chat.expression", tooltip="Type what steers, in one line"),
        Binding("b,f6", "beside", "Beside", id="chat.beside", tooltip="The unsteered answer beside the steered one"),
        Binding("g,f5", "again", "Again", id="chat.again", tooltip="Ask the last message again under the current steering"),
        Binding("n", "clear", "New", id="chat.clear", tooltip="Start a new conversation; u brings the old one back"),
        Binding("h,f4", "earlier", "Earlier", id="chat.earlier", tooltip="Resume an earlier conversation"),
        Binding(
            "p,f7", "template", "Template", id="chat.template", show=False, tooltip="Arguments of the model's chat template"
        ),
        Binding("y,f8", "thought", "Thoughts", id="chat.thought", show=False, tooltip="Unfold the thoughts before the answers"),
        Binding("u", "undo_clear", "Undo", id="chat.undo", show=False),
        Binding("enter,i", "write", "Write", id="chat.write", show=False, tooltip="Go to the message line"),
        Binding("shift+up", "rack('move', -1)", "Pick", show=False, priority=True),
        Binding("shift+down", "rack('move', 1)", "Pick", show=False, priority=True),
        Binding("shift+left", "rack('turn', -1)", "Turn", show=False, priority=True),
        Binding("shift+right", "rack('turn', 1)", "Turn", show=False, priority=True),
    ]

    def __init__(self, host: Host) -> None:
        super().__init__(host, "chat")
        self._sitting = Sitting(Conversations(host.library.folder))
        self._reply: _Reply | None = None
        self._beside = False

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Rack(self.keep_mixture)
            yield ConversationView(STEERED)
            yield ConversationView(UNSTEERED)
        yield Input(
            placeholder="Type a message · Enter sends · shift+←→ coefficient · Esc: rack",
            id="message",
            compact=True,
        )

    @property
    def turns(self) -> list[LiveTurn]:
        """Of the conversation on the screen."""
        return self._sitting.turns

    def on_mount(self) -> None:
        self._show()
        self.set_interval(_SAVE_AGAIN, self._save_again)

    def shown(self) -> None:
        self.query_one("#message", Input).focus()

    def take(self, event: Event) -> None:
        if isinstance(event, ModelLoaded):
            self._show()

    def _answer_told(self, reply: _Reply, event: Event) -> None:
        if isinstance(event, Generated):
            reply.turns[-1].answers[event.key] = event
        elif isinstance(event, Warned):
            self.notify(event.message, severity="warning", markup=False)
        elif isinstance(event, TaskEnded):
            self._sitting.to_be_saved(reply.id, reply.turns)
            self.attempt(self._save)
            self._reply = None
            if event.outcome == "failed":
                self.notify(f"{event.message}\n{event.remedy}".strip(), severity="error", markup=False, timeout=12)
        self._show()

    def put_away(self) -> None:
        if self._reply is not None:
            self._sitting.to_be_saved(self._reply.id, self._reply.turns)
        self.attempt(self._save)

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
        elif self._may_ask():
            self._submit(self.turns.pop().asked_again(kept_terms(self.query_one(Rack).steering)))

    def action_beside(self) -> None:
        self._beside = not self._beside
        self._show()
        if self._beside and self.turns and UNSTEERED not in self.turns[-1].answers and self._reply is None and self.host.model:
            self._submit(self.turns.pop(), (UNSTEERED,))

    def action_clear(self) -> None:
        self._stop()
        if self._sitting.clear():
            self.notify("A new conversation; u brings the old one back.")
        self._show()

    def action_undo_clear(self) -> None:
        if self._sitting.undo_clear():
            self._show()
        else:
            self.notify("Nothing to bring back; h resumes an earlier conversation.")

    def action_out(self) -> None:
        if not self._stop():
            self.query_one(Rack).focus()

    def action_earlier(self) -> None:
        kept: list[tuple[str, str]] = []
        if not self.attempt(lambda: kept.extend(self._sitting.earlier())):
            return
        if not kept:
            self.notify("No earlier conversation yet; one is kept after every answer.")
            return
        self.app.push_screen(Choose("Resume", kept), lambda id: None if id is None else self._open(id))

    def action_write(self) -> None:
        self.query_one("#message", Input).focus()

    def _ask(self, message: str) -> bool:
        if not self._may_ask():
            return False
        self._submit(LiveTurn(message, kept_terms(self.query_one(Rack).steering)))
        return True

    def _may_ask(self) -> bool:
        if self.host.model is None:
            self.notify("The model is not loaded yet; send again in a moment.", severity="warning")
        elif self._reply is not None:
            self.notify("An answer is being given: Esc stops it.", severity="warning")
        else:
            return True
        return False

    def _submit(self, turn: LiveTurn, who: tuple[str, ...] = ()) -> None:
        """Lets `who`, or all that are seen, answer `turn`, which becomes the last of the conversation."""
        self.turns.append(turn)
        steering = self.query_one(Rack).steering
        rows = tuple(
            ReplyRow(name, self._history(name), steering if name == STEERED else (), max_new_tokens=_MAX_NEW_TOKENS,
                     template=self.template, thought_tokens=_THOUGHT_TOKENS)
            for name in who or ((STEERED, UNSTEERED) if self._beside else (STEERED,))
        )  # fmt: skip
        self._reply = reply = _Reply(self._sitting.id, self.turns)
        reply.handle = self.host.engine.submit(Reply(rows), partial(self._answer_told, reply))
        self._show()

    def _stop(self) -> bool:
        """Ends the answer being given, if one is."""
        if self._reply is not None and self._reply.handle is not None:
            self._reply.handle.cancel()
        return self._reply is not None

    def _open(self, id: str) -> None:
        """Resumes an earlier conversation; what steered its last answer is put on the rack where that is empty."""
        if not self.attempt(lambda: self._sitting.open(id)):
            return
        self._stop()
        rack = self.query_one(Rack)
        if not rack.slots and self.turns:
            self.steer_again(self.turns[-1].steering)
        self._show()
        self.query_one("#message", Input).focus()

    def _save(self) -> None:
        """Saves the conversations that are not kept yet. Raises LibraryError, and has them tried again."""
        if self._sitting.save():
            self.notify("Another program resumed this conversation too; both are kept.")

    def _save_again(self) -> None:
        if self._sitting.unsaved and not why_not(self._save):
            self.notify("The conversation is saved now.")

    def _history(self, who: str) -> tuple[tuple[str, str], ...]:
        """The conversation as `who` had it, up to the message that is to be answered."""
        *before, last = self.turns
        return (*messages_for(who, [turn.kept() for turn in before]), ("user", last.message))

    def _show(self) -> None:
        rack = self.query_one(Rack)
        steered, unsteered = self.query_one(f"#{STEERED}", ConversationView), self.query_one(f"#{UNSTEERED}", ConversationView)
        unsteered.display = self._beside
        self.set_class(self._beside, "-beside")
        # Content, not a string: names are other people's words and must not be read as markup.
        title = f"Steered · {recipe(kept_terms(rack.steering))}" if rack.steering else "Unsteered (the rack is empty)"
        steered.border_title = Content(f"{title} · {written(self.template)}" if self.template else title)
        steered.border_subtitle = "F5 again · F6 alone" if self._beside else "F5 again · F6 beside"
        waiting = self._reply is not None and self._reply.turns is self.turns
        steered.show(self.turns, waiting, self.unfolded)
        if self._beside:
            unsteered.show(self.turns, waiting, self.unfolded)

    def show_answers(self) -> None:
        self._show()
