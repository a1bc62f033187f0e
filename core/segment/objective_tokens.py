"""Which of a prompt's tokens the objective compares."""

from __future__ import annotations

from core.errors import SettingsError
from vectors.plain_text import natural


def parse_tokens(text: str) -> int | None:
    """`all` or `last:K` as the number of last tokens the objective sees. Raises SettingsError."""
    if text == "all":
        return None
    kind, _, number = text.partition(":")
    last = natural(number)
    if kind != "last" or not last:
        raise SettingsError(f"{text!r} names no tokens", "use all or last:K, for example last:6")
    return last
