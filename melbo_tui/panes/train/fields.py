"""The fields of a new run that are the same for every method: what is asked how, and what every method can be told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Select

from core.discovery import METHODS
from core.discovery.declarations.general import General
from core.errors import SettingsError
from core.prompt import Prompt
from core.specs import Setting, declared
from core.template_arguments import parse_line
from melbo_tui.panes.train.facts import DepthLine, PromptFacts
from melbo_tui.widgets.field import Field, choice
from melbo_tui.widgets.prompt_entry import PromptEntry
from melbo_tui.widgets.setting_field import setting_field
from vectors.files.given_path import file_to_write, given_path
from vectors.vector import VectorError


class MethodChoice(Field):
    """The method; other packages' stand there once `offer_others` has listed them."""

    def __init__(self) -> None:
        own = choice([(name, name) for name in METHODS.own])
        super().__init__("method", "Method", own, METHODS["melbo"].summary, lambda name: METHODS.named(name, "method"))

    async def offer_others(self, chosen: str) -> None:
        """Offers them too, listed in a thread, for it takes longer than a frame; one of them that is `chosen` is taken."""
        others = await asyncio.to_thread(lambda: list(METHODS.others))
        if others:
            assert isinstance(self.entry, Select)
            now = self.text
            with self.prevent(Select.Changed):
                self.entry.set_options([(name, name) for name in METHODS])
                self.entry.value = chosen if chosen in others else now


def first_fields(prompt: str, general: Mapping[str, Setting]) -> Iterator[Widget]:
    """What everybody looks at, with lines between that tell what the prompt and the blocks come to; `own` is for the
    method's. `general`: the settings that every method has, as the chosen one explains them.
    """
    entry = PromptEntry(prompt, placeholder="What to ask the model")
    yield Field(
        "prompt",
        "Prompt",
        entry,
        "The prompt that the vectors are trained on. Try one that the model refuses, or always answers alike.",
        lambda text: Prompt(text.strip()),
    )
    yield PromptFacts()
    yield MethodChoice()
    yield Vertical(id="own")
    for name, setting in declared(General).items():
        if not setting.option.advanced:
            yield _general_field(general.get(name, setting))
        if name == "target":
            yield DepthLine()


def more_fields(general: Mapping[str, Setting]) -> Iterator[Widget]:
    """What most leave alone, of every method."""
    yield Field(
        "system",
        "System",
        Input("", placeholder="the model's own", compact=True),
        "The system text before the prompt. Empty: what the model's chat template says by itself.",
    )
    yield Field(
        "template",
        "Template",
        Input("", placeholder="KEY=VALUE, with spaces between", compact=True),
        "Arguments of the model's chat template, as enable_thinking=false. They are kept with the vectors, and "
        "used whenever these steer.",
        parse_line,
    )
    yield Field(
        "raw",
        "Chat",
        choice([("in the chat template", "no"), ("none, raw text", "yes")]),
        "Whether the prompt is put into the model's chat template, or given to the model as it stands.",
    )
    for name, setting in declared(General).items():
        if setting.option.advanced:
            yield _general_field(general.get(name, setting))


def _general_field(setting: Setting) -> Field:
    return setting_field(setting, {"init": _check_draws, "out": _check_out}.get(setting.name, str))


def _check_draws(text: str) -> None:
    try:
        if not given_path(text.partition(":")[0]).is_file():
            raise SettingsError("there is no such file")
    except VectorError as error:
        raise SettingsError(str(error)) from None


def _check_out(text: str) -> None:
    try:
        file_to_write(text, replace=True)  # another field tells whether one is replaced
    except VectorError as error:
        raise SettingsError(str(error)) from None
