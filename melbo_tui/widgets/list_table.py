"""A table of lines chosen with the cursor; its last column takes what is left of the width."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import DataTable


class ListTable(DataTable[Text]):
    """`columns` are (key, label, width); the last one's width is given by the space there is. Rows have keys."""

    DEFAULT_CSS = "ListTable { overflow-x: hidden; scrollbar-gutter: stable; }"

    def __init__(self, id: str, columns: Sequence[tuple[str, str, int]]) -> None:
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._layout = tuple(columns)

    def on_mount(self) -> None:
        for key, label, width in self._layout:
            self.add_column(label, key=key, width=width)
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    @property
    def current(self) -> str | None:
        """The key of the row the cursor is on."""
        if not self.row_count or not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _fit(self) -> None:
        last = self._layout[-1][0]
        used = sum(width for _, _, width in self._layout[:-1]) + 2 * self.cell_padding * len(self._layout)
        for key, column in self.columns.items():
            if key.value == last:
                column.width = max(self.scrollable_content_region.width - used, 20)
        self._require_update_dimensions = True
        self.refresh()
