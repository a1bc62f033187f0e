"""Standard input, output and error as they come: closed, full, without a reader, in an encoding that lacks characters."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from typing import TextIO

from core.errors import MelboError


class OutputError(MelboError):
    """What a command prints cannot be written."""


class ReaderGone(Exception):
    """Who read the output (head, less) has left, which is no fault."""


def prepare() -> None:
    """Makes the streams fit to be used: what cannot be encoded or decoded is replaced from now on.

    Raises OutputError where standard output is closed.
    """
    closed = sys.stdout is None
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _open_nowhere(number, name)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if isinstance(sys.stdin, io.TextIOWrapper):
        ascii = codecs.lookup(sys.stdin.encoding).name == "ascii"  # whose bytes UTF-8 reads alike
        with contextlib.suppress(io.UnsupportedOperation):  # somebody has read from it already
            sys.stdin.reconfigure(encoding="utf-8" if ascii else None, errors="replace", newline=None)
    if closed:
        raise OutputError("standard output is closed", "send it somewhere, for example >/dev/null")


def write(text: str) -> None:
    """Writes `text` to standard output at once. Raises OutputError, or ReaderGone."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        _give_up(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise ReaderGone from error
        raise OutputError(f"the output cannot be written ({error.strerror or error})") from error


def complain(text: str) -> None:
    """Writes `text` to standard error; where that cannot be written, work goes on without it."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        _give_up(sys.stderr)


def can_write(text: str) -> bool:
    """Whether standard output's encoding has all characters of `text`."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeError:
        return False
    return True


def _open_nowhere(number: int, name: str) -> None:
    """Fills a closed descriptor, or the next file that is opened, the library's maybe, would get what is printed."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    try:
        os.fstat(number)
    except OSError:
        os.dup2(nowhere, number)
    setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115  the process's own
    if nowhere != number:
        os.close(nowhere)


def _give_up(stream: TextIO) -> None:
    """Sends what is left of `stream` nowhere, or Python would complain once more when it flushes at exit."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)
