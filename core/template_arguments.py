"""What users tell a chat template: KEY=VALUE pairs, such as enable_thinking=false."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from core.errors import SettingsError
from vectors.plain_text import one_line
from vectors.vector import Origin

_WORDS = {"true": True, "false": False, "none": None, "null": None}  # as JSON or as Python writes them


def parse_arguments(pairs: Iterable[str]) -> dict[str, Any]:
    """KEY=VALUE pairs as arguments; a value is JSON, or else plain text. Raises SettingsError for what is no pair."""
    arguments: dict[str, Any] = {}
    for pair in pairs:
        key, separator, text = pair.partition("=")
        if not separator or not key.strip().isidentifier():
            raise SettingsError(
                f"{one_line(pair, 60)!r} is no argument of a chat template", "write KEY=VALUE, as enable_thinking=false"
            )
        arguments[key.strip()] = _value(text.strip())
    return arguments


def parse_line(text: str) -> dict[str, Any]:
    """The arguments of a one-line field, KEY=VALUE pairs with spaces between. Raises SettingsError."""
    return parse_arguments(text.split())


def written(arguments: Mapping[str, Any]) -> str:
    """The arguments as `parse_arguments` reads them, with spaces between."""
    return " ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in arguments.items())


def arguments_of(origin: Origin) -> dict[str, Any]:
    """The template arguments that a vector was found with; a stranger's file may hold anything in their place."""
    kept = origin.settings.get("template")
    return {str(key): value for key, value in kept.items()} if isinstance(kept, Mapping) else {}


def shared_arguments(origins: Iterable[Origin]) -> dict[str, Any]:
    """The arguments that all of the vectors were found with; none where they differ."""
    known = [arguments_of(origin) for origin in origins]
    return known[0] if known and all(arguments == known[0] for arguments in known) else {}


def _value(text: str) -> Any:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    try:
        return json.loads(text)
    except ValueError:
        return text
