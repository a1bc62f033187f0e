"""The fields that methods have of their own, those of each made when it is first chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from textual.widget import Widget

from core.discovery import METHODS
from core.errors import SettingsError
from melbo_tui.widgets.field import Check, Field

if TYPE_CHECKING:
    from melbo_tui.panes.train.own_fields import OwnFields


class MethodFields:
    """`texts` are what fields hold first, by OwnFields.key; `check_vector` checks the name of a vector of the library."""

    def __init__(self, texts: Mapping[str, str], check_vector: Check) -> None:
        self._texts, self._check_vector = texts, check_vector
        self._made: dict[str, OwnFields] = {}

    def of(self, name: str) -> OwnFields | None:
        """Those of the method called `name`; None where it cannot be imported."""
        if name not in self._made:
            from melbo_tui.panes.train.own_fields import OwnFields  # which the first frame does without

            try:
                method = METHODS.named(name, "method")
            except SettingsError:
                return None
            self._made[name] = OwnFields(name, method, self._texts, self._check_vector)
        return self._made[name]

    def has(self, name: str, field: Field) -> bool:
        """Whether `field` is one of that method's, and has been made."""
        return name in self._made and field in self._made[name].fields.values()

    def show(self, name: str, first: Widget, more: Widget) -> None:
        """Displays those of the method called `name` alone, in the places `first` and `more`."""
        chosen = self.of(name)
        if chosen is None:
            return
        for group, place in ((chosen.first, first), (chosen.more, more)):
            if group is not None and not group.is_attached:
                place.mount(group)
        for own in self._made.values():
            own.show(own is chosen)

    def texts(self) -> dict[str, str]:
        """What is to be remembered: of the methods that have not been chosen, what was remembered before."""
        kept = {key: str(text) for key, text in self._texts.items() if key.partition(".")[0] not in self._made}
        for own in self._made.values():
            kept |= own.texts()
        return kept
