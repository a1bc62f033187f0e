"""JSON and JSON lines: the strings and objects in a text, one after another, whatever lists they stand in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


def json_values(text: str) -> Iterator[Any]:
    """The values that stand one behind the other in `text`, those of lists by themselves.

    A `.json` file has one value and JSON lines one a line, so both are read alike, and a line end within a string is only
    what JSON says it is. Raises ValueError with the line of what is none.
    """
    place = _SPACE.match(text).end()  # type: ignore[union-attr]  # it matches the empty text too
    while place < len(text):
        try:
            value, place = _DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {error.lineno} is no JSON: {error.msg}") from error
        except (RecursionError, ValueError) as error:  # nested too deep; a number of thousands of digits
            raise ValueError(f"line {text.count(chr(10), 0, place) + 1}: {error}") from error
        yield from value if isinstance(value, list) else (value,)
        place = _SPACE.match(text, place).end()  # type: ignore[union-attr]
