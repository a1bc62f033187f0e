"""From how many columns on things stand side by side, and how few they may be."""

from __future__ import annotations

from typing import Any

from textual.app import App
from textual.geometry import Size

WIDE = 100
SLIM = 72  # below, a screen has room for one thing beside the rack
LEAST = Size(60, 20)


def is_wide(app: App[Any]) -> bool:
    return app.size.width >= WIDE


def is_too_small(size: Size) -> bool:
    return size.width < LEAST.width or size.height < LEAST.height
