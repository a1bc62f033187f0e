"""The fields of a method's own settings in the form of a new run, made from its declaration when it is first chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.containers import Vertical

from core.discovery.method import Method
from melbo_tui.widgets.field import Check, Field
from melbo_tui.widgets.setting_field import applies, option_fields, values_of


class OwnFields:
    """The fields of the method called `name`: `first` stand where everybody looks, `more` among those most leave alone.

    `texts` are what they hold first, by `key`; the forms of earlier versions had one field of a name for all methods.
    """

    def __init__(self, name: str, method: Method, texts: Mapping[str, str], check_vector: Check) -> None:
        self.name, self.options = name, method.options
        self.fields = option_fields(self.options, check_vector)
        self.fill({one: str(texts[key]) for one in self.fields for key in (one, self.key(one)) if key in texts})
        first = [field for one, field in self.fields.items() if not self.options[one].option.advanced]
        more = [field for one, field in self.fields.items() if self.options[one].option.advanced]
        self.first = Vertical(*first, classes="own") if first else None
        self.more = Vertical(*more, classes="own") if more else None

    def key(self, setting: str) -> str:
        """What the text of `setting` is remembered by."""
        return f"{self.name}.{setting}"

    def fill(self, texts: Mapping[str, str]) -> list[Field]:
        """Puts `texts`, by the settings' names, into the fields that there are; gives those."""
        filled = [field for one, field in self.fields.items() if one in texts]
        for field in filled:
            field.text = texts[field.key]
        return filled

    def texts(self) -> dict[str, str]:
        return {self.key(one): field.text for one, field in self.fields.items()}

    def show(self, chosen: bool) -> None:
        """Displays the fields that mean something beside what the others hold, if the method is the chosen one."""
        for group in (self.first, self.more):
            if group is not None:
                group.display = chosen
        for one, field in self.fields.items():
            field.display = applies(self.options[one], self.options, self.fields)

    def meant(self) -> list[Field]:
        return [field for one, field in self.fields.items() if applies(self.options[one], self.options, self.fields)]

    def values(self, tell: Callable[[str], object]) -> dict[str, Any]:
        """The settings that are not as by default. Raises SettingsError."""
        return values_of(self.options, self.fields, tell)
