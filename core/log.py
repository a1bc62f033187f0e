"""Where everybody tells what went wrong. Whoever runs the program decides where that is kept (melbo_tui/log.py)."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

from core.errors import MelboError
from vectors.plain_text import well_formed
from vectors.store.index import LibraryError
from vectors.vector import VectorError


def _fit_to_write(record: logging.LogRecord) -> bool:
    """Arguments and paths may have bytes that are no text, which no handler could encode."""
    record.msg, record.args = well_formed(record.getMessage()), ()
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = well_formed("".join(traceback.format_exception(record.exc_info[1])).rstrip())
    return True


LOG = logging.getLogger("melbo_tui")
LOG.addFilter(_fit_to_write)
LOG.addHandler(logging.NullHandler())  # where nobody keeps it, nothing is printed
_kept: list[Path] = []


def keep_in(file: Path) -> None:
    """Tells that records are kept in `file`."""
    _kept[:] = [file]


def fault_remedy() -> str:
    """What to do about an error that is nobody's but the program's: look where it is written down."""
    return (
        f"this is a fault of melbo-tui; {_kept[0]} holds where"
        if _kept
        else "this is a fault of melbo-tui; --debug shows where"
    )


def failed(what: str, error: BaseException) -> None:
    """Records that `what` was ended by `error`, once, though it may pass through several hands."""
    if getattr(error, "recorded", False):
        return
    error.recorded = True  # type: ignore[attr-defined]
    told = isinstance(error, (MelboError, LibraryError, VectorError))  # to a user who can do something about it
    LOG.log(logging.WARNING if told else logging.ERROR, "%s failed", what, exc_info=error)
