"""What stands on the shelf: the library's vectors as lines, filtered, sorted, grouped by run; and what the columns show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from melbo_tui.formatting import NO_SAMPLE, NOTHING, age, short_name
from melbo_tui.widgets.virtual_table import Column, Group, Row
from vectors.block_ranges import ranges
from vectors.moment import moment
from vectors.plain_text import one_line
from vectors.store.library import Library
from vectors.store.query import Line, chosen, lines_of, ordered


def _sample(line: Line) -> str:
    return NO_SAMPLE if line.sample is None else one_line(line.sample, 300) or NOTHING


COLUMNS = {
    column.key: column
    for column in (
        Column("name", "name", 16, lambda line: line.entry.name, cut=short_name),
        Column("model", "model", 12, lambda line: one_line(line.entry.model)),
        Column("method", "method", 9, lambda line: line.entry.method),
        Column("block", "blk", 5, lambda line: ranges(line.entry.blocks), right=True),
        Column("norm", "norm", 6, lambda line: f"{line.entry.norm:.3g}", right=True),
        Column("kl", "KL", 5, lambda line: "" if line.kl is None else f"{line.kl:.2g}", right=True),
        Column("rating", "rated", 5, lambda line: "•" * line.entry.rating if line.entry.rating else _none_or_zero(line)),
        Column("tags", "tags", 12, lambda line: " ".join(line.entry.tags)),
        Column("age", "age", 6, lambda line: age(line.entry.created), right=True),
        Column("sample", "completion", 20, _sample),
    )
}
USUAL = ("name", "method", "block", "norm", "kl", "rating", "tags", "age", "sample")
# What goes first where the terminal is narrow, and what the sample must have left.
_DISPENSABLE = ("model", "age", "method", "kl", "block", "tags", "norm", "rating")
_LEAST_SAMPLE = 22
_OFTEN_EMPTY = ("tags", "rating", "kl")


def _none_or_zero(line: Line) -> str:
    return "" if line.entry.rating is None else "0"


@dataclass(frozen=True)
class View:
    """How the shelf is looked at. `sort` empty: newest first."""

    words: str = ""
    kept_only: bool = True
    sort: str = ""
    backwards: bool = False
    by_run: bool = False
    folded: frozenset[str] = field(default_factory=frozenset)

    def toggled(self, group: str) -> View:
        return replace(self, folded=self.folded ^ {group})


def read(library: Library) -> list[Line]:
    """Every vector that is not in the trash, newest first."""
    return lines_of(library, library.entries(kept_only=False))


def rows(lines: Sequence[Line], view: View) -> tuple[list[Row], int]:
    """What the table shows of `lines`, and how many vectors that are. Raises VectorError for a filter that means nothing."""
    fitting = chosen([line for line in lines if line.entry.kept or not view.kept_only], view.words)
    if view.sort:
        fitting = ordered(fitting, view.sort, view.backwards)
    if not view.by_run:
        return list(fitting), len(fitting)
    groups: dict[str, list[Line]] = {}
    for line in fitting:
        groups.setdefault(line.entry.run, []).append(line)
    shown: list[Row] = []
    for run, members in groups.items():
        shown.append(Group(run, _title(members), run in view.folded))
        if run not in view.folded:
            shown += members
    return shown, len(fitting)


def fitting_columns(wanted: Sequence[str], width: int, lines: Sequence[Line] = ()) -> list[Column]:
    """The `wanted` columns; nothing means the usual ones that say something of `lines`, as many as fit into `width` cells."""
    empty = {key for key in _OFTEN_EMPTY if not wanted and not any(COLUMNS[key].text(line) for line in lines)}
    keys = [key for key in COLUMNS if (key in (wanted or USUAL) and key not in empty) or key == "name"]
    for key in _DISPENSABLE if not wanted else ():
        used = sum(COLUMNS[k].width + 1 for k in keys if k != "sample")
        if used + (_LEAST_SAMPLE if "sample" in keys else 0) <= width - 3:
            break
        if key in keys:
            keys.remove(key)
    return [COLUMNS[key] for key in keys]


def _title(members: Sequence[Line]) -> str:
    first = members[0].entry
    count = f"{len(members)} vectors" if len(members) > 1 else "1 vector"
    return one_line(f"{moment(first.created)} · {first.method} · {first.prompt or first.model} · {count}")
