"""Tables as text: CSV by its quotes, with the delimiter that fits, and TSV, whose quotes are text."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.files.decoding import MAX_BYTES

Cells = tuple[str, ...]
IsHeader = Callable[[Cells], bool]
_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True)
class Row:
    """A row that is not blank, and the line of the file on which it begins, from 1."""

    line: int
    cells: Cells


class TableError(ValueError):
    """A text that is no such table; the message says where."""


def csv_rows(text: str, is_header: IsHeader, width: int, tell: Callable[[str], object]) -> list[Row]:
    """The rows of a CSV text, its header included. Raises TableError.

    European Excel writes semicolons. Of comma, semicolon and tab, the last two where they part anything, that is taken which
    gives a header and rows as wide as that, or else rows of `width` cells. `tell` is told where two would do.
    """
    named, _, rest = text.partition("\n")
    if len(named.rstrip("\r")) == 5 and named[:4].lower() == "sep=":  # how Excel says it itself
        return _rows(rest, named[4], first=2)
    tables: dict[str, list[Row]] = {}
    trouble: TableError | None = None
    for delimiter in _DELIMITERS:
        try:
            rows = _rows(text, delimiter)
            if delimiter == "," or any(len(row.cells) > 1 for row in rows):
                tables[delimiter] = rows
        except TableError as error:
            trouble = trouble or error
    if trouble is not None and not any(_fit(rows, is_header, width) for rows in tables.values()):
        raise trouble
    best = max(tables, key=lambda delimiter: _fit(tables[delimiter], is_header, width))
    fit = _fit(tables[best], is_header, width)
    for other, rows in tables.items():
        if fit and other != best and rows != tables[best] and _fit(rows, is_header, width) == fit:
            tell(f"its columns are read as set apart by {_DELIMITERS[best]}; {_DELIMITERS[other]} would do as well")
    return tables[best]


def tsv_rows(text: str) -> list[Row]:
    """The rows of a text whose cells are set apart by tabs. Raises TableError.

    A quote is a character like any other, unless the whole text is as spreadsheets write cells that hold tabs or line ends.
    """
    if '"' in text:
        try:
            rows = list(_reader(text, "\t"))
        except csv.Error:
            rows = []
        if rows and _is_written(text, rows):
            return _rows(text, "\t")
    return _rows(text, "\t", csv.QUOTE_NONE)


def _fit(rows: Sequence[Row], is_header: IsHeader, width: int) -> int:
    """How well a delimiter fits that gives these rows: 2 with a header, 1 without, 0 not at all."""
    if not rows:
        return 0
    if is_header(rows[0].cells):
        names = len(rows[0].cells)
        return 0 if any(cell.strip() for row in rows for cell in row.cells[names:]) else 2
    return 1 if all(len(row.cells) == width for row in rows) else 0


def _reader(text: str, delimiter: str, quoting: int = csv.QUOTE_MINIMAL):  # type: ignore[no-untyped-def]  # csv names no type
    csv.field_size_limit(MAX_BYTES)
    return csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quoting=quoting, strict=True)  # type: ignore[arg-type]


def _rows(text: str, delimiter: str, quoting: int = csv.QUOTE_MINIMAL, first: int = 1) -> list[Row]:
    reader = _reader(text, delimiter, quoting)
    rows: list[Row] = []
    begins = 0
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append(Row(begins + first, tuple(cells)))
            begins = reader.line_num
    except csv.Error as error:
        raise TableError(f"in the row of line {begins + first}: {error}") from error
    return rows


def _is_written(text: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether `rows` with tabs between, written down by a program, are `text`."""
    for quoting in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL):
        for line_end in ("\r\n", "\n"):
            written = io.StringIO(newline="")
            csv.writer(written, delimiter="\t", quoting=quoting, lineterminator=line_end).writerows(rows)
            if written.getvalue().rstrip("\r\n") == text.rstrip("\r\n"):
                return True
    return False
