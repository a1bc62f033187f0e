"""The bounds that stand beside the fields of what a file holds (bounded.py), and those that many files share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from vectors.plain_text import one_line, printable, well_formed

MOST_TEXT = 1 << 20  # characters
MOST_MEMBERS = 100_000
DEEPEST = 32


@dataclass(frozen=True)
class Between:
    """Numbers from `low` to `high`."""

    low: float
    high: float


@dataclass(frozen=True)
class Text:
    """Texts of at most `most` characters, once `clean` has made them fit to keep. `clean` may raise ValueError."""

    most: int = MOST_TEXT
    clean: Callable[[str], str] = well_formed


@dataclass(frozen=True)
class AtMost:
    """Lists and mappings of at most so many members."""

    count: int


class Always:
    """Beside a field that every file has, though it has a default in memory."""


LABEL = 200
Label = Annotated[str, Text(LABEL, partial(one_line, limit=LABEL))]  # one line, cut where it is longer
Id = Annotated[str, Text(LABEL)]
Prose = Annotated[str, Text(MOST_TEXT, printable)]
MOST_COEFFICIENT = 1e9
Coefficient = Annotated[float, Between(-MOST_COEFFICIENT, MOST_COEFFICIENT)]
# A row of 65,536 of the largest numbers of float32 has a norm below it.
Norm = Annotated[float, Between(0, 1e42)]
MAX_BLOCKS, MAX_WIDTH = 10_000, 65_536
Block = Annotated[int, Between(0, MAX_BLOCKS - 1)]
# Seconds since 1970; the last day of the year 9999 is left out for clocks that are ahead.
Moment = Annotated[float, Between(0, 253_402_214_400)]
# The free part of a file, texts made safe to show.
Settings = Annotated[Mapping[str, Any], Text(MOST_TEXT, printable)]
