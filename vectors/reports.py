"""What an evaluation came to, as tables that are shown, kept and handed to machines: reports/<report>.json in the library."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vectors.index import LibraryError
from vectors.json_folder import JsonFolder
from vectors.plain_text import one_line, printable

Cell = str | float | int | None


@dataclass(frozen=True)
class Column:
    """`form` says how numbers are written, as a format specification: `.2f`, `.0%`, `d`."""

    name: str
    form: str = ""

    def shown(self, cell: Cell) -> str:
        """`cell` as people read it, in one line; nothing where it is None or no finite number."""
        if cell is None or (isinstance(cell, float) and not math.isfinite(cell)):
            return ""
        return one_line(cell) if isinstance(cell, str) else format(cell, self.form)


@dataclass(frozen=True)
class Plot:
    """A table as a chart: column `y` over column `x`, a line for each value of column `by`. Without `x`, a dot a row."""

    y: str
    x: str = ""
    by: str = ""


@dataclass(frozen=True)
class Table:
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
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

    `findings` say what it comes to, a sentence each. `complete` False: the work was stopped, and the tables have what was done
    by then.
    """

    metric: str
    tables: tuple[Table, ...]
    findings: tuple[str, ...] = ()
    model: str = ""
    vectors: tuple[str, ...] = ()
    prompts: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: float = 0.0
    complete: bool = False
    ids: tuple[str, ...] = ()

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
        """Reads `asdict`'s form, made safe to show. Raises KeyError, TypeError or ValueError for what is none."""
        return cls(
            str(data["metric"]),
            tuple(_table(table) for table in data["tables"]),
            tuple(printable(str(text)) for text in data["findings"]),
            one_line(str(data["model"])),
            tuple(one_line(str(name)) for name in data["vectors"]),
            tuple(printable(str(text)) for text in data["prompts"]),
            dict(data["settings"]),
            float(data["created"]),
            bool(data["complete"]),
            tuple(one_line(str(id), 200) for id in data.get("ids", ())),
        )


def whom(names: Sequence[str]) -> str:
    """Whom a report is about, in few words."""
    return names[0] if len(names) == 1 else f"{len(names)} vectors" if names else "the model"


def _plain(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _form(text: str) -> str:
    """`text` as a form; ours have no width, which could be any. Raises ValueError for others."""
    if not re.fullmatch(r"\+?(\.\d)?[defg%]?", text):
        raise ValueError(f"{one_line(text, 20)} is no form of ours")
    return text


def _table(data: Mapping[str, Any]) -> Table:
    columns = tuple(Column(one_line(str(column["name"])), _form(str(column["form"]))) for column in data["columns"])
    rows = tuple(tuple(_cell(cell) for cell in row) for row in data["rows"])
    for row in rows:
        for column, cell in zip(columns, row, strict=True):
            column.shown(cell)  # a form that numbers cannot be written in is told here
    plots = tuple(Plot(str(plot["y"]), str(plot["x"]), str(plot["by"])) for plot in data.get("plots", ()))
    names = {"", *(column.name for column in columns)}
    if any(not plot.y or not {plot.y, plot.x, plot.by} <= names for plot in plots):
        raise ValueError("a plot of columns that are not there")
    return Table(one_line(str(data["title"])), columns, rows, plots)


def _cell(cell: Any) -> Cell:
    if cell is None or isinstance(cell, (int, float)):
        return cell
    return printable(str(cell))


class Reports:
    """The reports in the library's `folder`. Every method raises LibraryError with one clear line."""

    def __init__(self, folder: Path) -> None:
        self._files = JsonFolder(folder / "reports", "report")

    def save(self, id: str, report: Report) -> None:
        plain = asdict(report)
        for table in plain["tables"]:
            table["rows"] = [list(map(_plain, row)) for row in table["rows"]]
        self._files.save(id, plain)

    def load(self, id: str) -> Report:
        data = self._files.load(id)
        if data is None:
            raise LibraryError(f"there is no report {one_line(id, 60)} in the library")
        try:
            return Report.from_json(data)
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
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
