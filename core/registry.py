"""Methods and metrics by name, the program's own and other packages' (vectors/registry.py)."""

from __future__ import annotations

from typing import TypeVar

from core.errors import SettingsError
from vectors import registry

T = TypeVar("T")


class Registry(registry.Registry[T]):
    """What is wrong is a SettingsError."""

    failure = SettingsError

    def refusal(self, message: str, remedy: str) -> SettingsError:
        return SettingsError(message, remedy)
