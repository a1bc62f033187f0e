"""A report's table as a chart: the vector under the cursor bright, the others faint, random ones in another colour."""

from __future__ import annotations

import re
from collections.abc import Sequence

from melbo_tui.charts import Color, Series
from vectors.store.reports import Plot, Table

_CONTROL = re.compile(r"random( \d+)?( block \d+)?")


def title(plot: Plot, table: Table, row: int) -> str:
    """What is on the axes, and what the colours of what is drawn are."""
    over = f" by {plot.x}" if plot.x else ""
    if not plot.by and plot.x:
        return f"{plot.y}{over}"
    groups, ys = table.texts(plot.by or table.columns[0].name), table.numbers(plot.y)
    chosen = groups[row] if row < len(groups) else ""
    drawn = {group for group, y in zip(groups, ys, strict=True) if y is not None}
    colors = [f"bright: {chosen}"] if chosen in drawn else []
    colors += ["coloured: random"] if any(_CONTROL.fullmatch(group) for group in drawn) else []
    return f"{plot.y}{over}" + (f" · {', '.join(colors)}" if colors else "")


def series(plot: Plot, table: Table, row: int, colors: dict[str, Color]) -> list[Series]:
    """The lines of `plot`, or its dots where it has no x; `row` is under the cursor."""
    ys = table.numbers(plot.y)
    if not plot.x:
        return _dots(table, ys, row, colors)
    xs = table.numbers(plot.x)
    groups = table.texts(plot.by) if plot.by else [""] * len(ys)
    chosen = groups[row] if row < len(groups) else ""
    lines = []
    for group in sorted(dict.fromkeys(groups), key=lambda name: (name == chosen, _CONTROL.fullmatch(name) is not None)):
        points = [
            (x, y) for x, y, name in zip(xs, ys, groups, strict=True) if name == group and x is not None and y is not None
        ]
        color = colors["main" if group == chosen else "other" if _CONTROL.fullmatch(group) else "faint"]
        lines.append(Series(*_columns(sorted(points)), color))
    return lines


def _dots(table: Table, ys: Sequence[float | None], row: int, colors: dict[str, Color]) -> list[Series]:
    """A dot a row at its place; the one under the cursor again, bright, and the mean of random ones as a line."""
    names = table.texts(table.columns[0].name)
    points = [(i + 1.0, y) for i, y in enumerate(ys) if y is not None and not _CONTROL.fullmatch(names[i])]
    random = [y for i, y in enumerate(ys) if y is not None and _CONTROL.fullmatch(names[i])]
    ends = [(x, sum(random) / len(random)) for x in (1.0, float(len(ys)))] if random else []
    here = [(x, y) for x, y in points if x == row + 1]
    return [Series(*_columns(ends), colors["other"]), Series(*_columns(points), colors["faint"], dots=True),
            Series(*_columns(here), colors["main"], dots=True)]  # fmt: skip


def _columns(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]
