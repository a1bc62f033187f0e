"""What every pane has: the app with its engine, library and model."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual.containers import Container

from core.events import Event

if TYPE_CHECKING:
    from melbo_tui.app import MelboApp


class Pane(Container):
    """A pane hears every engine event by `take`, and is told when it is shown by `shown`."""

    @property
    def melbo(self) -> MelboApp:
        return cast("MelboApp", self.app)

    def take(self, event: Event) -> None:
        """Takes an engine event in."""

    def shown(self) -> None:
        """The pane has come to the front."""
