"""The words of the grammar: names, bare or quoted, and numbers; how each is read and written."""

from __future__ import annotations

import re

from vectors.files.bounded import LABEL, MOST_COEFFICIENT
from vectors.plain_text import harmful, natural

# Possessive quantifiers: what has been taken is not given back, so that no text takes longer than its length.
_LETTER = r"[\w./:-]"
BARE = re.compile(rf"(?!-){_LETTER}++")
QUOTED = re.compile(r'"[^"]*+(?:""[^"]*+)*+"')
NUMBER = re.compile(rf"[-+]?(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][-+]?[0-9]++)?+(?!{_LETTER})")
_LONGEST_NUMBER = 400  # characters; a float of as many digits has lost none that counts


def written_name(name: str) -> str:
    """The name as an expression writes it: in double quotes where it needs them."""
    bare = BARE.fullmatch(name) and not NUMBER.fullmatch(name)
    return name if bare else '"' + name.replace('"', '""') + '"'


def unquoted(word: str) -> str:
    """The name that a QUOTED word stands for."""
    return word[1:-1].replace('""', '"')


def harm(name: str) -> int | None:
    """The index of the first character that no name may have, one that acts on a terminal or a mark too many; None: none."""
    found = (i for i, (character, harms) in enumerate(harmful(name)) if harms or character in "\n\t")
    return next(found, None)


def check_name(name: str) -> None:
    """Raises ValueError for what can be no name."""
    if not name:
        raise ValueError("a name has at least one character")
    if len(name) > LABEL:
        raise ValueError(f"a name has at most {LABEL} characters, not {len(name):,}")
    if harm(name) is not None:
        raise ValueError("a name has no characters that act on a terminal")


def number_of(text: str) -> float:
    """The number that `text`, a NUMBER, writes. Raises ValueError where it is out of bounds."""
    value = float(text) if len(text) <= _LONGEST_NUMBER else float("nan")
    check_number(value)
    return value


def check_number(value: float) -> None:
    """Raises ValueError for a coefficient or a threshold that is out of bounds, or no finite number."""
    if not abs(value) <= MOST_COEFFICIENT:
        raise ValueError(f"a number is to be from {-MOST_COEFFICIENT:,.0f} to {MOST_COEFFICIENT:,.0f}")


def whole_number(text: str) -> int | None:
    """The whole number that `text` writes in ASCII digits; None where it writes none, or one of more than 18."""
    return natural(text) if text.isascii() else None


def number_text(value: float) -> str:
    """The shortest text that `float` reads as `value`: `2`, `0.1`, `1e-07`."""
    return repr(value).removesuffix(".0")
