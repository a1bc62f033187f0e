"""What the terminal shows and what it is to show, cell by cell: only cells that differ are written.

Textual paints whole regions for one more token; over SSH that is tens of kilobytes a second.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from rich.cells import cell_len, split_graphemes
from rich.color import ColorSystem
from rich.console import Console
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.strip import Strip

# A grapheme and the SGR codes of its style. A wide grapheme is followed by a cell without text.
Cell = tuple[str, str]
_BLANK: Cell = (" ", "")
# So many cells that have not changed cost less to write again than to step over.
_WORTH_WRITING = 4


class Cells:
    """A screen of `width` x `height` cells, wanted and shown. Control and format characters never become cells."""

    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height
        self._wanted: list[list[Cell]] = [[_BLANK] * width for _ in range(height)]
        self._shown: list[list[Cell] | None] = [None] * height
        self._dirty: set[int] = set(range(height))

    def resize(self, width: int, height: int) -> None:
        """Begins anew where the size is another; what the terminal made of it is not known."""
        if (width, height) != (self.width, self.height):
            self.__init__(width, height)  # type: ignore[misc]

    def forget(self) -> None:
        """What is shown is not known any more: all of it is written again."""
        self._shown = [None] * self.height
        self._dirty = set(range(self.height))

    def take(self, update: CompositorUpdate, console: Console) -> None:
        """Takes in what the compositor paints: a screenful, or spans of lines."""
        colors = console._color_system or ColorSystem.TRUECOLOR
        if isinstance(update, LayoutUpdate):
            for y, strips in enumerate(update.strips, update.region.y):
                x = update.region.x
                for strip in strips:
                    x = self._put(x, y, cells_of(strip, colors))
        elif isinstance(update, ChopsUpdate):
            for y, first, last in update.spans:
                for end, (x, piece) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                    if piece is not None and x <= last and end > first:
                        self._put(x, y, cells_of(piece, colors)[: min(end, last) - x])

    def changes(self) -> str:
        """What brings the terminal up to date; it stands there as shown from now on. Empty where nothing differs."""
        out: list[str] = []
        style = ""
        for y in sorted(self._dirty):
            wanted = self._wanted[y]
            for start, end in _runs(wanted, self._shown[y]):
                out.append(f"\x1b[{y + 1};{start + 1}H")
                for x in range(start, end):
                    text, codes = wanted[x]
                    if not text:
                        continue
                    if codes != style:
                        out.append(_switch(style, codes))
                        style = codes
                    out.append(text)
                    wide = x + 1 < self.width and not wanted[x + 1][0]
                    if wide or len(text) > 1:  # terminals differ about how wide it is
                        out.append(f"\x1b[{x + (2 if wide else 1) + 1}G")
            self._shown[y] = wanted.copy()
        self._dirty.clear()
        if style:
            out.append("\x1b[0m")
        return "".join(out)

    def _put(self, x: int, y: int, cells: Sequence[Cell]) -> int:
        """Puts `cells` at (x, y); gives where they end."""
        end = x + len(cells)
        if 0 <= y < self.height and x < self.width:
            row = self._wanted[y]
            row[x:end] = cells[: self.width - x]
            self._dirty.add(y)
        return end


def cells_of(strip: Strip, colors: ColorSystem) -> list[Cell]:
    """The strip's cells, left to right."""
    cells: list[Cell] = []
    for segment in strip:
        if segment.control:
            continue
        codes = Strip.render_ansi(segment.style, colors) if segment.style is not None else ""
        text = segment.text
        if text.isascii() and text.isprintable():
            cells += [(character, codes) for character in text]
            continue
        own: list[Cell] = []
        for grapheme, width in _graphemes(text):
            if width:
                own.append((grapheme, codes))
                own += [("", codes)] * (width - 1)
        # What joins nothing is counted in two ways; what stands behind it must not move.
        count = segment.cell_length
        while len(own) > count or (own and own[-1][0] and _width(own[-1][0]) > 1):  # half of a wide one is none
            own.pop()
        cells += own + [(" ", codes)] * (count - len(own))
    return cells


@lru_cache(8192)
def _graphemes(text: str) -> tuple[tuple[str, int], ...]:
    """The graphemes of `text` and their widths in cells; what a terminal would obey is blank, in as many cells as it counts."""
    clean = "".join(character if _is_drawn(character) else " " * cell_len(character) for character in text)
    return tuple((clean[start:end], width) for start, end, width in split_graphemes(clean)[0])


def _width(grapheme: str) -> int:
    return sum(width for _, width in _graphemes(grapheme))


def _is_drawn(character: str) -> bool:
    """Zero-width joiners and variation selectors make one picture of several; no other format character is drawn."""
    return character == "\u200d" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _runs(wanted: Sequence[Cell], shown: Sequence[Cell] | None) -> Iterator[tuple[int, int]]:
    """Spans (start, end) of cells that differ; close ones together, wide graphemes whole."""
    width = len(wanted)
    if shown is None:
        if width:
            yield 0, width
        return
    if wanted == shown:
        return
    start = end = -1
    for x in range(width):
        if wanted[x] == shown[x]:
            continue
        if start >= 0 and x - end > _WORTH_WRITING:
            yield start, end
            start = -1
        if start < 0:
            start = x
            while start and not wanted[start][0]:
                start -= 1
        end = x + 1
        while end < width and not wanted[end][0]:
            end += 1
    if start >= 0:
        yield start, end


@lru_cache(4096)
def _switch(before: str, after: str) -> str:
    """The sequence that makes style `after` of style `before`, colours alone where nothing else differs."""
    if not after:
        return "\x1b[0m"
    (old, *colors), (new, *wanted) = _parts(before), _parts(after)
    if old != new or any(have and not want for have, want in zip(colors, wanted, strict=True)):
        return f"\x1b[0;{after}m"
    return "\x1b[" + ";".join(want for have, want in zip(colors, wanted, strict=True) if want != have) + "m"


@lru_cache(4096)
def _parts(codes: str) -> tuple[str, str, str]:
    """SGR codes as (attributes, foreground, background)."""
    attributes: list[str] = []
    foreground = background = ""
    numbers = codes.split(";") if codes else []
    while numbers:
        count = {"2": 5, "5": 3}.get(numbers[1], 1) if numbers[0] in ("38", "48") and len(numbers) > 1 else 1
        code, numbers = ";".join(numbers[:count]), numbers[count:]
        value = int(code.split(";")[0] or 0)
        if 30 <= value <= 39 or 90 <= value <= 97:
            foreground = code
        elif 40 <= value <= 49 or 100 <= value <= 107:
            background = code
        else:
            attributes.append(code)
    return ";".join(attributes), foreground, background
