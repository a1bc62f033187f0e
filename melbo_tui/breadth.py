"""From how many columns on things stand side by side."""

from __future__ import annotations

from typing import Any

from textual.app import App

WIDE = 100


def is_wide(app: App[Any]) -> bool:
    return app.size.width >= WIDE
