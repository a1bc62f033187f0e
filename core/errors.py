"""Errors that users can act on: each says what happened and what to do."""

from __future__ import annotations


class MelboError(Exception):
    """What went wrong in one line, and, in `remedy`, what to do about it."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class ModelError(MelboError):
    """A model that cannot be found, read or used."""


class SettingsError(MelboError):
    """A setting that cannot work with this model or prompt."""


class Cancelled(Exception):
    """Raised inside a blocking phase whose task was cancelled."""


def first_line(error: BaseException) -> str:
    """An exception of somebody else's in one line: its kind and the start of what it says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out, on a GPU or on the host; torch has several ways of saying so."""
    words = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "not enough memory" in words
        or "can't allocate memory" in words
    )
