"""Standard input, output and error as they come: closed, full, without a reader, in an encoding that lacks characters."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import re
import sys
from collections.abc import Iterable
from typing import Any, TextIO, cast

from core.errors import MelboError
from core.redaction import redacted
from melbo_tui.nowhere import send_nowhere
from vectors.plain_text import printable

# What styles text, as Textual does in the traceback of an app that has crashed: it goes without a trace.
_STYLES = re.compile(r"\x1b\[[0-9;:]*m")


class OutputError(MelboError):
    """What a command prints cannot be written."""


class ReaderGone(Exception):
    """Who read the output (head, less) has left, which is no fault."""


class Filtered:
    """A stream through which nothing passes that acts on a terminal, whoever writes: a command, a library, a traceback.

    A carriage return passes at either end of what is written, where bars of progress have it; inside it becomes a newline.
    `discreet` leaves out secrets as well: where errors are told, not where a model's completions are.
    """

    def __init__(self, stream: TextIO, discreet: bool = False) -> None:
        self._stream = stream
        self._discreet = discreet

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        if not (text.isascii() and text.isprintable()):
            text = _STYLES.sub("", text)
            inner = text.strip("\r")
            start = len(text) - len(text.lstrip("\r"))
            text = text[:start] + printable(inner) + text[start + len(inner) :]
        return self._stream.write(redacted(text) if self._discreet else text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)


def prepare() -> None:
    """Makes the streams fit to be used: what cannot be encoded or decoded is replaced from now on, and what acts on a terminal
    filtered out.

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
    for name in ("stdout", "stderr"):
        if not isinstance(stream := getattr(sys, name), Filtered):
            setattr(sys, name, cast("TextIO", Filtered(stream, discreet=name == "stderr")))
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
    try:
        os.fstat(number)
    except OSError:
        send_nowhere(number)
    setattr(sys, name, open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8"))  # noqa: SIM115  the process's own


def _give_up(stream: TextIO) -> None:
    """Sends what is left of `stream` nowhere, or Python would complain once more when it flushes at exit."""
    with contextlib.suppress(OSError):
        send_nowhere(stream.fileno())
