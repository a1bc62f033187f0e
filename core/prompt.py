"""What the model is asked: a prompt as text, in the chat template or raw, or as token ids. Plain data, made without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.errors import SettingsError
from core.template_arguments import arguments_of
from vectors.files.bounded import MOST_TEXT
from vectors.plain_text import one_line, well_formed
from vectors.vector import Origin


def check_no_template(system: str | None, template: Mapping[str, Any]) -> None:
    """Raises SettingsError for what only a chat template could put before a prompt that goes without one."""
    if system is not None or template:
        given = "a system text" if system is not None else "arguments of the chat template"
        raise SettingsError(
            f"{given} cannot be used where there is no chat template", "leave it out, or write it in the prompt"
        )


@dataclass(frozen=True)
class Prompt:
    """A prompt as text, wrapped in the chat template unless `raw`, or as token ids."""

    text: str = ""
    ids: tuple[int, ...] = ()
    system: str | None = None
    raw: bool = False
    template: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.text.strip() and not self.ids:
            raise SettingsError("the prompt is empty", "type what the model should be asked")
        for text in (self.text, self.system or ""):
            if well_formed(text) != text:
                raise SettingsError(f"{one_line(text, 60)!r} has bytes that are no text", "give the prompt in UTF-8")
            if len(text) > MOST_TEXT:
                raise SettingsError(f"a prompt of {len(text):,} characters is too long to be kept", f"{MOST_TEXT:,} can be")
        if self.raw or self.ids:
            check_no_template(self.system, self.template)

    @classmethod
    def of(cls, origin: Origin, text: str) -> Prompt:
        """`text`, asked as the prompts were that the vector of `origin` was found on."""
        raw = origin.settings.get("raw") is True
        return cls(text, raw=True) if raw else cls(text, system=origin.system, template=arguments_of(origin))

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """The conversation that it begins, as (role, text) pairs."""
        system = () if self.system is None else (("system", self.system),)
        return (*system, ("user", self.text))

    @property
    def message(self) -> str | None:
        """What the user asks, None where it is given as token ids."""
        return self.text if self.text.strip() and not self.ids else None

    def shown(self) -> str:
        return self.text if self.text else "token ids " + ",".join(map(str, self.ids))
