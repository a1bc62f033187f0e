"""A table for thousands of vectors: only the lines that can be seen are ever drawn, so its size costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding
from textual.events import Click
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from melbo_tui.formatting import cut
from vectors.store.query import Line


@dataclass(frozen=True)
class Column:
    """`text` gives a line's cell, already safe to show, `cut` what is seen of one that is longer than its column.

    The last column that is shown takes what is left of the width.
    """

    key: str
    title: str
    width: int
    text: Callable[[Line], str]
    right: bool = False
    cut: Callable[[str, int], str] = cut


@dataclass(frozen=True)
class Group:
    """A heading over the lines of one run. `key` tells groups apart."""

    key: str
    title: str
    folded: bool


Row = Line | Group


class ShelfTable(ScrollView, can_focus=True):
    """Shows `rows`; the cursor is on one of them. Vectors whose ids are in `marked` bear a mark."""

    COMPONENT_CLASSES = {"shelf--cursor", "shelf--heading", "shelf--group", "shelf--mark", "shelf--star"}
    DEFAULT_CSS = """
    ShelfTable { height: 1fr; scrollbar-gutter: stable; overflow-x: hidden; }
    ShelfTable > .shelf--cursor { background: $primary 15%; }
    ShelfTable:focus > .shelf--cursor { background: $primary 35%; }
    ShelfTable > .shelf--heading { color: $text-muted; text-style: bold; }
    ShelfTable > .shelf--group { color: $text-accent; text-style: bold; }
    ShelfTable > .shelf--mark { color: $text-success; text-style: bold; }
    ShelfTable > .shelf--star { color: $text-warning; }
    """
    BINDINGS = [
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "move(-1_000_000)", show=False),
        Binding("end", "move(1_000_000)", show=False),
        Binding("enter", "choose", show=False),
    ]
    cursor = reactive(0)

    class Moved(Message):
        """The cursor is on another row."""

    class Chosen(Message):
        """Enter, or a second click, on a row."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.rows: Sequence[Row] = ()
        self.marked: set[str] = set()
        self._columns: Sequence[Column] = ()
        self._sorted_by, self._arrow = "", ""

    def show(self, rows: Sequence[Row], columns: Sequence[Column], sorted_by: str = "", backwards: bool = False) -> None:
        """Takes new rows; the cursor stays on its vector, or group, where that is still there."""
        before = self.current
        self.rows, self._columns = rows, columns
        self._sorted_by, self._arrow = sorted_by, ("▲" if backwards else "▼") if sorted_by else ""
        self.virtual_size = Size(self.scrollable_content_region.width, len(rows) + 1)
        place = next((i for i, row in enumerate(rows) if _key(row) == before), min(self.cursor, max(len(rows) - 1, 0)))
        if place == self.cursor:
            self.post_message(self.Moved())
        self.cursor = place
        self.refresh()

    @property
    def current(self) -> str | None:
        """The id of the vector, or the key of the group, that the cursor is on."""
        return _key(self.rows[self.cursor]) if self.cursor < len(self.rows) else None

    @property
    def current_row(self) -> Row | None:
        return self.rows[self.cursor] if self.cursor < len(self.rows) else None

    def go_to(self, key: str) -> None:
        """Puts the cursor on the vector with the id `key`, where it is shown."""
        self.cursor = next((i for i, row in enumerate(self.rows) if _key(row) == key), self.cursor)

    def action_move(self, by: int) -> None:
        self.cursor = max(min(self.cursor + by, len(self.rows) - 1), 0)

    def action_page(self, by: int) -> None:
        self.action_move(by * max(self.scrollable_content_region.height - 2, 1))

    def action_choose(self) -> None:
        if self.rows:
            self.post_message(self.Chosen())

    def on_click(self, event: Click) -> None:
        place = self.scroll_offset.y + event.get_content_offset_capture(self).y - 1
        if event.get_content_offset_capture(self).y > 0 and 0 <= place < len(self.rows):
            self.cursor = place
            if event.chain > 1:
                self.post_message(self.Chosen())

    def on_resize(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self.rows) + 1)

    def watch_cursor(self, before: int, now: int) -> None:
        self.scroll_to_region(Region(0, now, 1, 2), animate=False, force=True)
        self.refresh()
        if before != now:
            self.post_message(self.Moved())

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            return self._heading(width)
        place = self.scroll_offset.y + y - 1
        if place >= len(self.rows):
            return Strip.blank(width, self.rich_style)
        style = self.rich_style
        if place == self.cursor:
            style += self.get_component_rich_style("shelf--cursor")
        row = self.rows[place]
        if isinstance(row, Group):
            text = f"{'▸' if row.folded else '▾'} {row.title}"
            return Strip([Segment(_fitted(text, width), style + self._only_color("shelf--group"))], width)
        return self._line(row, width, style)

    def _line(self, line: Line, width: int, style: Style) -> Strip:
        mark = "✓" if line.entry.id in self.marked else " "
        star = "★" if line.entry.kept else " "
        segments = [
            Segment(mark, style + self._only_color("shelf--mark")),
            Segment(star + " ", style + self._only_color("shelf--star")),
        ]
        left = width - 3
        for column in self._columns:
            room = left if column is self._columns[-1] else min(column.width, left)
            cell = _fitted(column.text(line), room, column.right, column.cut)
            segments.append(Segment(cell + " ", style))
            left -= room + 1
            if left <= 0:
                break
        return Strip(segments).adjust_cell_length(width, style)

    def _heading(self, width: int) -> Strip:
        style = self.rich_style + self._only_color("shelf--heading")
        text, left = "   ", width - 3
        for column in self._columns:
            room = left if column is self._columns[-1] else min(column.width, left)
            title = column.title + (self._arrow if column.key == self._sorted_by else "")
            text += _fitted(title, room, column.right) + " "
            left -= room + 1
        return Strip([Segment(set_cell_size(text, width), style)], width)

    def _only_color(self, name: str) -> Style:
        """A component's style without its background, so that the cursor's shows through."""
        whole = self.get_component_rich_style(name)
        return Style(color=whole.color, bold=whole.bold)


def _key(row: Row) -> str:
    return row.key if isinstance(row, Group) else row.entry.id


def _fitted(text: str, width: int, right: bool = False, shorten: Callable[[str, int], str] = cut) -> str:
    """`text` in exactly `width` cells, shortened where it is longer."""
    if width <= 0:
        return ""
    text = shorten(text, width)
    room = width - cell_len(text)
    return " " * room + text if right else text + " " * room
