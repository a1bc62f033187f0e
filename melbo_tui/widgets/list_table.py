"""A table of lines chosen with the cursor; its last column takes what is left of the width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.widgets import DataTable

from melbo_tui.widgets.sparing import Entitled

# So many cells the last column keeps before another is given the width it would like.
_ENOUGH = 32


class ListTable(DataTable[Text], Entitled):
    """`columns` are (key, label, width); the last one takes what is left. `roomy` names widths for where there is space. Rows
    have keys."""

    DEFAULT_CSS = "ListTable { overflow-x: hidden; scrollbar-gutter: stable; }"

    def __init__(self, id: str, columns: Sequence[tuple[str, str, int]], roomy: Mapping[str, int]) -> None:
        super().__init__(id=id, cursor_type="row", cursor_foreground_priority="renderable")
        self._layout = tuple(columns)
        self._roomy = dict(roomy)

    def on_mount(self) -> None:
        for key, label, width in self._layout:
            self.add_column(Text(label, no_wrap=True, overflow="ellipsis"), key=key, width=width)
        self._fit()

    def on_resize(self) -> None:
        self._fit()

    def lay_out(self, columns: Sequence[tuple[str, str, int]]) -> None:
        """Takes other widths for the columns that are there."""
        if tuple(columns) != self._layout:
            self._layout = tuple(columns)
            self._fit()

    @property
    def current(self) -> str | None:
        """The key of the row the cursor is on."""
        if not self.row_count or not self.is_valid_row_index(self.cursor_row):
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def _fit(self) -> None:
        *others, (last, _, least) = self._layout
        widths = {key: width for key, _, width in others}
        space = self.scrollable_content_region.width - 2 * self.cell_padding * len(self._layout)
        if space - sum((widths | self._roomy).values()) >= _ENOUGH:
            widths |= self._roomy
        widths[last] = max(space - sum(widths.values()), least)
        for key, column in self.columns.items():
            column.width = widths[str(key.value)]
        self._require_update_dimensions = True
        self.refresh()
