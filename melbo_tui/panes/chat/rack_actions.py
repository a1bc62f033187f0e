"""What stands on the chat's rack: vectors of the library, put there, turned, and kept as a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.steering.terms import expression_of
from core.template_arguments import arguments_of, parse_line
from core.template_arguments import written as written_arguments
from melbo_tui.panes.chat.rack import Rack, Slot
from melbo_tui.panes.pane import Pane
from melbo_tui.widgets.ask_template import ask_template
from melbo_tui.widgets.dialogs import Choose
from vectors.expression import KeptTerm
from vectors.plain_text import one_line
from vectors.recipe import Recipe
from vectors.store.index import LibraryError
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    from melbo_tui.panes.host import Host


class RackActions(Pane):
    """A pane with a Rack; `template` are the arguments of the chat template, taken from the first vector that has some."""

    def __init__(self, host: Host, id: str) -> None:
        super().__init__(host, id)
        self.template: dict[str, Any] = {}

    def add(self, ids: tuple[str, ...]) -> None:
        """Puts vectors of the library on the rack."""
        for id in ids:
            vector = self.loaded(id)
            if vector is not None and self._fits(vector):
                self._take_template(vector)
                self.query_one(Rack).add(vector)

    def action_template(self) -> None:
        def done(text: str | None) -> None:
            if text is not None:
                self.template = parse_line(text)
                self.show_answers()

        self.app.push_screen(ask_template(self.template), done)

    def _take_template(self, vector: SteeringVector) -> None:
        """Gives the chat template the arguments that `vector` was trained with, where it has none."""
        own = arguments_of(vector.origin)
        if own and not self.template:
            self.template = own
            self.notify(
                f"The chat template is given {written_arguments(own)}, as when {vector.name} was trained; F7 changes it.",
                markup=False,
            )

    def action_rack(self, what: str, by: int) -> None:
        rack = self.query_one(Rack)
        rack.action_move(by) if what == "move" else rack.action_turn(by)

    def action_add(self) -> None:
        try:
            entries = self.host.library.entries(kept_only=False)
            texts = {id: sample.completion.text for id, sample in self.host.library.first_samples().items()}
        except LibraryError as error:
            self.notify(str(error), severity="error", markup=False)
            return
        model = self.host.model
        fitting = [e for e in entries if model is None or e.d_model == model.d_model]
        if not fitting:
            self.notify("The library has no vector for this model yet: train some under Train (F1).")
            return
        fitting.sort(key=lambda e: not e.kept)
        lines = [(e.id, f"{'★' if e.kept else ' '} {e.name:<14} {one_line(texts.get(e.id, e.prompt), 80)}") for e in fitting]

        def chosen(id: str | None) -> None:
            if id is not None:
                self.add((id,))

        self.app.push_screen(Choose("Steer with", lines), chosen)

    def action_expression(self) -> None:
        """Asks for what steers, in one line; what is on the rack stands there first."""
        from melbo_tui.panes import expressions

        rack = self.query_one(Rack)

        def done(text: str) -> None:
            if self.attempt(lambda: rack.steer(expressions.typed(self.host, text)[1] if text else ())):
                for slot in rack.slots:
                    self._take_template(slot.vector)

        expressions.ask(self, "Steer with", "steers", expression_of(rack.steering), done)

    def steer_again(self, terms: tuple[KeptTerm, ...]) -> None:
        """Puts terms that a file keeps on the rack, those whose vectors are here and fit the model."""
        slots = [slot for term in terms if (slot := self._slot(term)) is not None]
        for slot in slots:
            self._take_template(slot.vector)
        self.query_one(Rack).put_back(slots)

    def _slot(self, term: KeptTerm) -> Slot | None:
        from core.steering.resolving import loaded_kept

        slots: list[Slot] = []
        self.attempt(lambda: slots.extend(map(Slot.of, loaded_kept((term,), self.host.library))))
        return slots[0] if slots and self._fits(slots[0].vector) else None

    def _fits(self, vector: SteeringVector) -> bool:
        """Whether the model can be steered by the vector; where it cannot, says why not."""
        model = self.host.model
        if model is None or vector.d_model == model.d_model:
            return True
        own = vector.origin.model.label()
        wrong = f"{vector.name} has width {vector.d_model}, {model.name} has {model.d_model}: load {own} for it."
        self.notify(wrong, severity="error", markup=False)
        return False

    def keep_mixture(self, terms: tuple[tuple[str, float], ...], name: str) -> SteeringVector | None:
        """Keeps the sum of coefficient x vector, by id, as a mixture; None, and a word why, where they do not fit together."""
        library = self.host.library
        saved: list[SteeringVector] = []
        self.attempt(lambda: saved.append(library.load(library.save_mixture(Recipe(terms), name).id)))
        return saved[0] if saved else None
