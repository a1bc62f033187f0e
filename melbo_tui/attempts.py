"""What a user asked for, done, or why it could not be."""

from __future__ import annotations

from collections.abc import Callable

from core.errors import MelboError, first_line
from core.log import failed
from vectors.store.index import LibraryError
from vectors.vector import VectorError


def told(error: BaseException) -> str:
    """What went wrong and what to do about it, for a dialog or a notification."""
    if isinstance(error, MelboError):
        return f"{error}\n{error.remedy}" if error.remedy else str(error)
    if isinstance(error, (LibraryError, VectorError)):
        return str(error)
    failed("an attempt", error)
    return first_line(error)


def why_not(change: Callable[[], object]) -> str:
    """Does `change`; gives why it failed, or nothing where it did not. Faults that no user can act on are raised."""
    try:
        change()
    except (LibraryError, MelboError, VectorError) as error:
        return told(error)
    return ""
