"""What a program wrote to its terminal, taken apart into text and into what acts on the terminal."""

from __future__ import annotations

import random
import re
import unicodedata
from dataclasses import dataclass

from vectors.plain_text import MAX_MARKS, is_mark

MARKER, NUMBER = "PWN7", "7777"  # stand in every sequence of a stranger's, and nowhere else

_SEQUENCE = re.compile(
    "(?:\x1b\\[|\x9b)[0-?]*[ -/]*[@-~]"
    "|(?:\x1b\\]|\x9d).*?(?:\x07|\x1b\\\\|\x9c|$)"
    "|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f]).*?(?:\x1b\\\\|\x9c|$)"
    "|\x1b[ -/]*[0-~]?"
    "|[\x00-\x08\x0b-\x1f\x7f-\x9f]",
    re.DOTALL,
)
_PARAMETERS = re.compile("[0-9;:]+")
# What an app needs to draw: places, styles, erasing a line's rest, modes, the keyboard's and the pointer's; bell and line ends.
_DRAWING = re.compile(r"\x1b\[#?[HGKm]|\x1b\[\?[\d;]+(\$p|[hlu])|\x1b\[[<>=][\d;]*u|\x1b\]#\w+\x07|[\r\x07]")


@dataclass(frozen=True)
class Written:
    text: str
    sequences: tuple[str, ...]

    @classmethod
    def of(cls, data: bytes) -> Written:
        whole = data.decode("utf-8", "replace")
        return cls(_SEQUENCE.sub("", whole), tuple(_SEQUENCE.findall(whole)))

    @property
    def kinds(self) -> set[str]:
        """The sequences without their numbers; which mode is set is part of what one is."""
        return {one if re.search("[hlpu$]$", one) else _PARAMETERS.sub("#", one, count=1) for one in self.sequences}

    def check(self, allowed: set[str] | None = None) -> None:
        """Fails where anything acted that is of no `allowed` kind or, without them, of none that drawing takes."""
        kinds = {kind for kind in self.kinds if not (_DRAWING.fullmatch(kind) if allowed is None else kind in allowed)}
        assert not kinds, f"{kinds} reached the terminal"
        strange = [one for one in self.sequences if MARKER in one or NUMBER in one]
        assert not strange, f"{strange[:5]} reached the terminal"
        acting = [
            i for i, c in enumerate(self.text) if unicodedata.category(c) in {"Cf", "Zl", "Zp"} and c not in "\u200c\u200d"
        ]
        assert not acting, f"{self.text[max(acting[0] - 200, 0) : acting[0] + 50]!a} reached the terminal"
        marks = max(map(len, "".join("m" if is_mark(c) else " " for c in self.text).split()), default=0)
        assert marks <= MAX_MARKS, f"{marks} marks on one character"


HOSTILE = (
    f"\x1b[{NUMBER}m", f"\x1b[{NUMBER};{NUMBER}H", f"\x1b[?{NUMBER}h", "\x1b[2J", "\x1b[3J", "\x1b[5;8m", "\x1b[6n", "\x1b[>c",
    "\x1bc", "\x1b7", "\x1b(0", "\x1b#8", f"\x1b]0;{MARKER}\x07", f"\x1b]52;c;{MARKER}\x07", f"\x1b]1337;File={MARKER}\x07",
    f"\x1b]8;;http://{MARKER}\x1b\\x\x1b]8;;\x1b\\", f"\x1bP{MARKER}\x1b\\", f"\x1b_{MARKER}\x1b\\", f"\x1b^{MARKER}\x1b\\",
    f"\x1bX{MARKER}\x1b\\", f"\x9b{NUMBER}m", f"\x9d0;{MARKER}\x9c", f"\x90{MARKER}\x9c", "\x85", "\x84", "\x07", "\x08\x08",
    "\x0b", "\x0c", "\x0e", "\x7f", "\x00", "\x1b", "\x1b[", "\x1b]", "\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\r",
    "\U000e0041", "\u2028", "\u0301" * 40, "\u200d" * 20, "\u1161" * 30, "a\u200d漢" * 3, "漢字", "👩\u200d🚀", "[/]",
    "[blink]", f"[@click=app.quit]{MARKER}[/]", f"[link=http://{MARKER}]x[/link]", "\\[",
)  # fmt: skip


def hostile_text(draw: random.Random, pieces: int = 5) -> str:
    """A text with `pieces` of what may not reach a terminal, the marker before and behind each."""
    return MARKER + "".join(f"{piece}{MARKER}" for piece in draw.sample(HOSTILE, pieces))
