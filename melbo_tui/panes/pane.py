"""What every pane has: its host, with the engine, the library and the model."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from textual.containers import Container
from textual.worker import Worker

from core.engine.events import Event
from melbo_tui.attempts import why_not
from melbo_tui.faults import log_worker
from vectors.plain_text import clean_name

if TYPE_CHECKING:
    from melbo_tui.panes.host import Host
    from vectors.vector import SteeringVector


class Pane(Container):
    """A pane is told of every task's events by `take`, and of those it asks for by a listener of its own; when it is shown by
    `shown`, and before the app ends by `put_away`.
    """

    unfolded = False  # thoughts stand whole before their answers

    def __init__(self, host: Host, id: str) -> None:
        super().__init__(id=id)
        self.host = host

    def take(self, event: Event) -> None:
        """Takes in an event that concerns everybody, of any task: that a model is loaded, or another has ended."""

    async def complete(self) -> None:
        """Composes what the first frame did without."""

    def shown(self) -> None:
        """The pane has come to the front."""

    def put_away(self) -> None:
        """The app is about to leave: what is being written is to be kept."""

    def action_thought(self) -> None:
        """Unfolds the thoughts, or folds them."""
        self.unfolded = not self.unfolded
        self.show_answers()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        log_worker(event)

    def show_answers(self) -> None:
        """Draws anew what shows answers."""

    def attempt(self, change: Callable[[], object]) -> bool:
        """Does something to the library; shows what went wrong, and gives False, where it fails."""
        wrong = why_not(change)
        if wrong:
            self.notify(wrong, severity="error", markup=False)
        return not wrong

    def loaded(self, id: str) -> SteeringVector | None:
        """The library's vector; shows what is wrong, and gives None, where it cannot be read."""
        vectors: list[SteeringVector] = []
        self.attempt(lambda: vectors.append(self.host.library.load(id)))
        return vectors[0] if vectors else None

    def model_is_there(self) -> bool:
        """Whether a model is loaded; where none is, says so."""
        if wrong := self.without_model():
            self.notify(wrong, severity="warning", markup=False)
        return not wrong

    def without_model(self, text: str = "") -> str:
        """That no model is loaded, where none is, for a dialog that needs one."""
        return "The model is not loaded yet." if self.host.model is None else ""

    def ask_name(self, id: str, name: str, then: Callable[[str], None]) -> None:
        """Asks for a new name for the vector, which keeps it; `then` is given the name once the library has it."""
        from melbo_tui.widgets.dialogs import Ask

        def check(text: str) -> str:
            try:
                clean_name(text)
            except ValueError as error:
                return str(error)
            return ""

        given: list[str] = []

        def rename(wanted: str) -> str:
            return why_not(lambda: given.append(self.host.library.rename(id, wanted)))

        question = Ask("Name of the vector", name, "A named vector is kept.", check, rename)
        self.app.push_screen(question, lambda accepted: None if accepted is None else then(given[0]))
