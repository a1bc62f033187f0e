"""The dialog for a chat template's arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.errors import SettingsError
from core.template_arguments import parse_line, written
from melbo_tui.widgets.dialogs import Ask

_HINT = "KEY=VALUE, with spaces between, as enable_thinking=false. Empty: the template as it is."


def ask_template(arguments: Mapping[str, Any]) -> Ask:
    """Gives a line that `parse_line` reads, or None; it begins as `arguments` are written."""
    return Ask("The chat template's arguments", written(arguments), _HINT, _wrong, optional=True)


def _wrong(text: str) -> str:
    try:
        parse_line(text)
    except SettingsError as error:
        return f"{error}: {error.remedy}"
    return ""
