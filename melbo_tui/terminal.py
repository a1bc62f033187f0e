"""The terminal that the app is drawn on: whether there is one, and what it may send."""

from __future__ import annotations

import importlib
import os
import sys
from codecs import getincrementaldecoder
from functools import partial

from core.errors import MelboError
from vectors.plain_text import one_line


def places_text() -> bool:
    """Whether the terminal can write over what stands there, by what TERM says of it."""
    return os.environ.get("TERM") not in ("dumb", "unknown")


def prepare_terminal() -> None:
    """Makes ready for the app. Raises MelboError where it could not draw or be typed to.

    Textual draws on standard error, and without a terminal as its input waits in a busy loop for ever. It may have a driver of
    its own for that, which TEXTUAL_DRIVER names.
    """
    if driver := os.environ.get("TEXTUAL_DRIVER"):
        _check_driver(driver)
        return
    for name, stream in (("standard input", sys.stdin), ("standard error", sys.stderr)):
        if not stream.isatty():
            remedy = "`melbo-tui --help` lists what works without one; ssh and docker give one with -t"
            raise MelboError(f"the app needs a terminal, and {name} is none", remedy)
    if not places_text():
        remedy = "`melbo-tui --help` lists the commands, which only print; or set TERM to what the terminal is"
        raise MelboError(
            f"the app needs a terminal that can place text, and this one (TERM={os.environ['TERM']}) cannot", remedy
        )
    if os.environ.get("NO_COLOR") == "":
        del os.environ["NO_COLOR"]  # empty it asks for nothing (no-color.org); Textual takes it for a wish
    if os.name == "posix":
        from textual.drivers import linux_driver

        # Its decoder is strict: a key of a Latin-1 terminal, or such a paste, would end the app.
        linux_driver.getincrementaldecoder = (  # type: ignore[attr-defined]
            lambda encoding: partial(getincrementaldecoder(encoding), errors="replace")
        )


def _check_driver(driver: str) -> None:
    module, _, name = driver.partition(":")
    try:
        getattr(importlib.import_module(module), name)
    except (AttributeError, ImportError, ValueError) as error:
        remedy = "unset it, or set it to MODULE:CLASS"
        raise MelboError(f"TEXTUAL_DRIVER names no driver of Textual's: {one_line(driver, 60)!r}", remedy) from error
