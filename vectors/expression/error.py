"""What is wrong with an expression, and where in its text."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from itertools import accumulate

from vectors.errors import VectorError
from vectors.plain_text import harmful, is_mark, one_line


class ExpressionError(VectorError):
    """`wrong` says in one line what is wrong and what is possible; `column` counts the characters of `text` from 1.

    Column 0 is nowhere: what was built in Python, or read from a file, has no text.
    """

    def __init__(self, wrong: str, text: str = "", column: int = 0) -> None:
        super().__init__(wrong, text, column)
        self.wrong, self.text, self.column = wrong, text, column

    def __str__(self) -> str:
        return f"column {self.column}: {self.wrong}" if self.column else self.wrong

    def lines(self, width: int = 78) -> tuple[str, str]:
        """The text and, under the column, a caret: safe for a terminal, each in at most `width` (at least 8) cells.

        A text that is longer is cut around the column, with `…` where something was left out.
        """
        at, room = max(self.column - 1, 0), max(width, 8)
        before, behind = _safe(self.text[max(at - room, 0) : at]), _safe(self.text[at : at + room])
        if len(self.text) > room or _cells(before + behind) >= room:  # the caret may stand behind the last character
            before = _cut(before[::-1], room // 2, at > len(before))[::-1]
            behind = _cut(behind, room - _cells(before), at + len(behind) < len(self.text))
        return before + behind, " " * _cells(before) + "^" if self.column else ""


@dataclass(frozen=True)
class Place:
    """Where something stands: at a column of a text, counted from 1; 0 where there is no text."""

    text: str = field(default="", repr=False)
    column: int = 0

    def error(self, wrong: str) -> ExpressionError:
        return ExpressionError(wrong, self.text, self.column)


def shown(text: str) -> str:
    """A part of an expression as a message may hold it: safe, in one line of at most 40 characters."""
    return one_line(text[:200], 40)


def character_name(character: str) -> str:
    """A character as a message names it: itself, or its code point and name where it cannot be seen or acts on a terminal."""
    if character.isprintable() and not character.isspace() and not is_mark(character):
        return character
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".rstrip()


def _safe(text: str) -> str:
    """`text` with U+FFFD for each character that may not reach a terminal: as many characters as before."""
    return "".join("\ufffd" if harms or character in "\n\t" else character for character, harms in harmful(text))


def _cells(text: str) -> int:
    """How many cells of a terminal `text` takes."""
    return sum(0 if is_mark(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _cut(text: str, room: int, more: bool) -> str:
    """The beginning of `text` in at most `room` cells; `more`: text that is not given goes on behind it."""
    if not more and _cells(text) <= room:
        return text
    taken = accumulate(map(_cells, text))
    return "".join(character for character, cells in zip(text, taken, strict=True) if cells < room) + "…"
