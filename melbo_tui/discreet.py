"""Records of what went wrong without prompts, completions, notes, tokens or passwords; names of vectors and files may stand."""

from __future__ import annotations

import logging
import os
import re
import traceback
from functools import cache

from core.errors import causes
from core.redaction import redacted
from vectors.plain_text import one_line

_LONGEST = 400
# Text in quotes may be a prompt, an answer, a note. A path, a file or a dotted or underscored name says where it went wrong.
_QUOTED = re.compile(r"(?<!\w)(?P<quote>['\"“`])(?P<text>.*?)['\"”`](?!\w)|(?<!\w)['\"“].*$")
_NAME = re.compile(r"[\w~-]*[/._][\w~./+-]*")


class Discreet(logging.Formatter):
    """A record in one line, and the exception that it is about below it."""

    def format(self, record: logging.LogRecord) -> str:
        about = f"{self.formatTime(record)} {record.process} {record.levelname.lower()}: {discreet(record.getMessage())}"
        error = record.exc_info[1] if record.exc_info else None
        return about if error is None else f"{about}\n{described(error)}"


def discreet(text: str) -> str:
    """`text` in one line without secrets: no tokens or passwords, nothing in quotes but names; the home folder is `~`."""
    line = redacted(one_line(text, 10 * _LONGEST))
    for home in _homes():
        line = line.replace(home, "~")
    return one_line(_QUOTED.sub(_without_words, line), _LONGEST)


def described(error: BaseException) -> str:
    """The error and what it came from: kinds, discreet messages, and where in the code; no values, no lines of text."""
    parts = []
    for one in causes(error):
        frames = [
            f"    {discreet(f'{frame.f_code.co_filename}:{line} in {frame.f_code.co_name}')}"
            for frame, line in traceback.walk_tb(one.__traceback__)
        ]
        message = next((line for line in str(one).splitlines() if line.strip()), "")
        parts.append("\n".join([f"  {type(one).__name__}: {discreet(message)}", *frames]))
    return "\n  from\n".join(parts)


def _without_words(match: re.Match[str]) -> str:
    text, quote = match["text"] or "", match["quote"]
    return match[0] if quote and _NAME.fullmatch(text) else "‘…’"


@cache
def _homes() -> tuple[str, ...]:
    homes = {os.path.expanduser("~"), os.path.realpath(os.path.expanduser("~"))}
    return tuple(sorted((home for home in homes if len(home) > 1), key=len, reverse=True))  # root's may be /
