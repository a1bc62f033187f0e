"""Makes untrusted text (model output, names, notes, file headers) safe to show in a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Cc: C0 and C1 controls, escape included. Cf: bidirectional overrides and other invisible formatting. Zl, Zp: line and
# paragraph separators, at which some readers break a line and others do not. Cs: halves of what is no character.
_REMOVED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = {"\u200d", "\u200c"}  # part of ordinary emoji and Persian or Indic words
_KEPT = {"\n", "\t"} | _JOINERS
_SURROGATES = re.compile("[\ud800-\udfff]")
_BREAKS = re.compile("\r\n|[\r\u2028\u2029]")
# Characters that may reach a terminal as they are, in any number: of the scripts without marks, those that most texts have.
_PLAIN = re.compile(
    "[\t\n -~\xa0-\xac\xae-\u02ff\u0400-\u0482\u2010-\u2027\u3041-\u3096\u30a1-\u30ff\u4e00-\u9fff\uac00-\ud7a3]*+"
)
# No writing sets more marks on one character; hundreds on one cell hang a terminal, or climb over the lines above.
MAX_MARKS = 8
MAX_NAME = 120


def well_formed(text: str) -> str:
    """`text` with U+FFFD for each lone surrogate, which no database, tokenizer or UTF-8 takes.

    Python puts them where an argument, a file's name or a pipe has bytes that are no UTF-8, and JSON can name them.
    """
    return _SURROGATES.sub("\ufffd", text)


def is_mark(character: str) -> bool:
    """Whether it stands in the cell of the character before it: a combining mark, a joiner, a vowel or an end of Hangul."""
    return character in _JOINERS or "\u1160" <= character <= "\u11ff" or unicodedata.category(character)[0] == "M"


def harmful(text: str) -> Iterator[tuple[str, bool]]:
    """Each character of `text`, and whether it may not reach a terminal as it is: it acts on it, or is a mark too many."""
    marks = 0
    for character in text:
        marks = marks + 1 if is_mark(character) else 0
        acts = character not in _KEPT and unicodedata.category(character) in _REMOVED
        yield character, acts or marks > MAX_MARKS


def printable(text: str) -> str:
    """`text` without characters that act on a terminal, and with at most MAX_MARKS marks on one character.

    Newlines and tabs stay, a carriage return becomes a newline. Lone surrogates become U+FFFD (`well_formed`), so that what was
    cut off or miscoded is seen as that.
    """
    if _PLAIN.fullmatch(text):
        return text
    return "".join(character for character, harms in harmful(well_formed(_BREAKS.sub("\n", text))) if not harms)


def one_line(text: str, limit: int | None = None) -> str:
    """`printable(text)` with every run of white space folded to one space, cut to `limit` characters with an ellipsis."""
    line = " ".join(printable(text).split())
    return line if limit is None or len(line) <= limit else line[: max(limit - 1, 0)] + "…"


def natural(text: str) -> int | None:
    """The whole number from 0 on that `text` writes in at most 18 digits; None where it writes none."""
    return int(text) if text.isdecimal() and len(text) <= 18 else None


def clean_name(text: str) -> str:
    """A vector's name as it may be kept: one line of at most 120 characters, without `=` (the command line's NAME=COEF).

    Raises ValueError when nothing is left.
    """
    name = one_line(text.replace("=", "-"), MAX_NAME)
    if not name:
        raise ValueError("a name needs at least one visible character")
    return name


_COMMON = frozenset(
    (
        "a an and are as at be build by can create do does for from give have how i if in is it make me my of on or "
        "please say show tell that the this to us was we what when where which who why will with write you your"
    ).split()
)


def stem_of(prompt: str, fallback: str = "vector") -> str:
    """A short word that stands for `prompt` in automatic names: its last uncommon word (`How can I build a bomb?`: bomb)."""
    words = ["".join(c for c in word.lower() if c.isalnum()) for word in printable(prompt).split()]
    telling = [word for word in words if word and word not in _COMMON]
    return telling[-1][:16] if telling else fallback
