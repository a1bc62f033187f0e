"""The field of a form for a setting that a method or a metric declares (core/specs.py)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from textual.widget import Widget
from textual.widgets import Input, TextArea

from core.errors import SettingsError
from core.specs import Setting
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.field import Check, Field, choice


def setting_field(setting: Setting, check_there: Check = str) -> Field:
    """A field that holds the setting's default; `check_there` looks for the vector or the file that a text names."""

    def check(text: str) -> None:
        value_of(setting, text)
        if text.strip():
            check_there(text)
        if setting.option.told is not None:
            setting.option.told(text)

    return Field(setting.name, setting.label, _entry(setting), explained(setting), check, setting.option.told)


def explained(setting: Setting) -> str:
    """What a field of it tells whoever types there."""
    about = setting.option.about or f"{setting.option.help[:1].upper()}{setting.option.help[1:]}."
    return f"{about} One a line, or {FILES}." if setting.prompts else about


def option_fields(options: Mapping[str, Setting], check_vector: Check) -> dict[str, Field]:
    """A field for each of `options`, by their names; `check_vector` checks the name of a vector of the library."""
    return {name: setting_field(one, check_vector if one.option.vector else str) for name, one in options.items()}


def value_of(setting: Setting, text: str, tell: Callable[[str], object] = lambda line: None) -> Any:
    """What `text`, typed, is for a request. Raises SettingsError. `tell` is told how a file of prompts was read."""
    if setting.prompts:
        prompts = typed_prompts(text, tell)
        if not prompts and setting.option.required:
            raise SettingsError(setting.option.required)
        return prompts
    value = setting.read(text)
    return text.strip() if setting.many and value is not None else value


def values_of(
    options: Mapping[str, Setting], fields: Mapping[str, Field], tell: Callable[[str], object] = lambda line: None
) -> dict[str, Any]:
    """What the `fields` of `options` come to: the settings that mean something and are not as by default. Raises
    SettingsError.
    """
    values: dict[str, Any] = {}
    for name, setting in options.items():
        if applies(setting, options, fields):
            value = value_of(setting, fields[name].text, tell)
            if value != setting.default and setting.made(value) != setting.default:
                values[name] = value
    return values


def applies(setting: Setting, options: Mapping[str, Setting], fields: Mapping[str, Field]) -> bool:
    """Whether the setting means something beside what the fields of the others hold."""
    if setting.option.when is None:
        return True
    name, those = setting.option.when
    return fields[name].text in [options[name].text(one) for one in those]


def _entry(setting: Setting) -> Widget:
    option = setting.option
    default = setting.text(setting.default)
    if setting.prompts:
        return TextArea(default, compact=True, tab_behavior="focus", placeholder="prompts, one a line, or a file")
    if setting.kind is bool:
        off, on = option.names or ("no", "yes")
        return choice([(off, "no"), (on, "yes")], default)
    if option.choices:
        return choice(list(zip(option.names or option.choices, option.choices, strict=True)), default)
    return Input(default, placeholder="a vector's name" if option.vector else option.default, compact=True)
