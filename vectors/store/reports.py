"""What an evaluation came to, as tables that are shown, kept and handed to machines: reports/<report>.json in the library."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from vectors.errors import VectorError
from vectors.expression import KeptTerm
from vectors.expression.tree import MOST_TERMS
from vectors.files.bounded import MOST_TEXT, AtMost, Id, Moment, Prose, Settings, Text, Unfit, check, decoded
from vectors.plain_text import one_line, printable
from vectors.store.index import LibraryError
from vectors.store.json_folder import JsonFolder

MOST_ROWS, MOST_COLUMNS = 1_000_000, 10_000
Cell = str | int | float | None
# A line that names what a report is about, and texts of it.
_Line = Annotated[str, Text(MOST_TEXT, one_line)]


def _form(text: str) -> str:
    """`text` as a form; ours have no width, which could be any. Raises ValueError for others."""
    if not re.fullmatch(r"\+?(\.\d)?[defg%]?", text):
        raise ValueError(f"{one_line(text, 20)} is no form of ours")
    return text


@dataclass(frozen=True)
class Column:
    """`form` says how numbers are written, as a format specification: `.2f`, `.0%`, `d`."""

    name: _Line
    form: Annotated[str, Text(20, _form)] = ""

    def shown(self, cell: Cell) -> str:
        """`cell` as people read it, in one line; nothing where it is None or no finite number."""
        if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
            return ""
        return one_line(cell) if isinstance(cell, str) else format(cell, self.form)


@dataclass(frozen=True)
class Plot:
    """A table as a chart: column `y` over column `x`, a line for each value of column `by`. Without `x`, a dot a row."""

    y: _Line
    x: _Line = ""
    by: _Line = ""


@dataclass(frozen=True)
class Table:
    title: _Line
    columns: Annotated[tuple[Column, ...], AtMost(MOST_COLUMNS)]
    rows: Annotated[tuple[Annotated[tuple[Cell, ...], Text(MOST_TEXT, printable)], ...], AtMost(MOST_ROWS)]
    plots: tuple[Plot, ...] = ()

    def shown(self) -> list[list[str]]:
        """The cells as people read them."""
        return [self.shown_row(place) for place in range(len(self.rows))]

    def shown_row(self, place: int) -> list[str]:
        return [column.shown(cell) for column, cell in zip(self.columns, self.rows[place], strict=True)]

    def numbers(self, column: str) -> list[float | None]:
        """The numbers in the column of that name; None where there is something else."""
        place = [one.name for one in self.columns].index(column)
        return [float(cell) if isinstance(cell := row[place], (int, float)) else None for row in self.rows]

    def texts(self, column: str) -> list[str]:
        place = [one.name for one in self.columns].index(column)
        return [str(row[place]) for row in self.rows]

    def to_json(self) -> dict[str, Any]:
        """Rows as objects, their numbers unrounded; what is no finite number as None, which JSON has."""
        names = [column.name for column in self.columns]
        return {"title": self.title, "rows": [dict(zip(names, map(_plain, row), strict=True)) for row in self.rows]}


@dataclass(frozen=True)
class Report:
    """What metric `metric` told of `vectors`, by name, with `ids` in the library, on `prompts`.

    `vectors` are what conditions are called; `ids` has the id of a condition's vector, '' where it has several, and
    `steerings` its terms (reports of version 0.1 have none).

    `findings` say what it comes to, a sentence each. `complete` False: the work was stopped, and the tables have what was done
    by then.
    """

    metric: _Line
    tables: tuple[Table, ...]
    findings: tuple[Prose, ...] = ()
    model: _Line = ""
    vectors: tuple[_Line, ...] = ()
    prompts: tuple[Prose, ...] = ()
    settings: Settings = field(default_factory=dict)
    created: Moment = 0.0
    complete: bool = False
    ids: tuple[Id, ...] = ()
    steerings: Annotated[tuple[Annotated[tuple[KeptTerm, ...], AtMost(MOST_TERMS)], ...], AtMost(MOST_ROWS)] = ()

    @property
    def asked(self) -> str:
        """The first prompts in a line, and how many more there are."""
        shown = " · ".join(one_line(prompt, 60) for prompt in self.prompts[:3])
        return shown + (f" and {len(self.prompts) - 3} more" if len(self.prompts) > 3 else "")

    def to_json(self) -> dict[str, Any]:
        """For machines: the tables by rows."""
        return {**asdict(self), "tables": [table.to_json() for table in self.tables]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Report:
        """Reads `asdict`'s form, made safe to show. Raises VectorError for what is none."""
        report = decoded(cls, data)
        for i, table in enumerate(report.tables):
            try:
                _check_read(table)
            except Unfit as error:
                raise error.inside(i).inside("tables") from None
        return report


def whom(names: Sequence[str]) -> str:
    """Whom a report is about, in few words."""
    return names[0] if len(names) == 1 else f"{len(names)} vectors" if names else "the model"


def _plain(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _check_read(table: Table) -> None:
    """Raises Unfit for a table, read from a file, that cannot be shown."""
    for i, row in enumerate(table.rows):
        if len(row) != len(table.columns):
            raise Unfit(f"has {len(row)} cells, not {len(table.columns)}", f"rows[{i}]")
        for column, cell in zip(table.columns, row, strict=True):
            try:
                column.shown(cell)
            except (OverflowError, ValueError) as error:
                raise Unfit(f"cannot be written as {column.form!r} ({error})", f"rows[{i}]") from None
    names = {"", *(column.name for column in table.columns)}
    if any(not plot.y or not {plot.y, plot.x, plot.by} <= names for plot in table.plots):
        raise Unfit("are of columns that are not there", "plots")


class Reports:
    """The reports in the library's `folder`. Every method raises LibraryError with one clear line."""

    def __init__(self, folder: Path) -> None:
        self._files = JsonFolder(folder / "reports", "report")

    def save(self, id: str, report: Report) -> None:
        tables = tuple(replace(table, rows=tuple(tuple(map(_plain, row)) for row in table.rows)) for table in report.tables)
        report = replace(report, tables=tables)
        check(report)
        self._files.save(id, asdict(report))

    def load(self, id: str) -> Report:
        data = self._files.load(id)
        if data is None:
            raise LibraryError(f"there is no report {one_line(id, 60)} in the library")
        try:
            return Report.from_json(data)
        except VectorError as error:
            raise self._files.damaged(id, error) from error

    def listed(self, most: int = 200) -> list[tuple[str, Report]]:
        """The reports that can be read with their ids, the latest first."""
        found: list[tuple[str, Report]] = []
        for _, id in self._files.listed():
            if len(found) == most:
                break
            try:
                found.append((id, self.load(id)))
            except LibraryError:  # one that is damaged does not hide the others
                continue
        return found
