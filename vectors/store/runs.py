"""The vectors of a run in the library: which of them are where, and what those that are saved next are called.

Emptying the trash takes vectors out of a run, and moves what stays to another file: so a vector of a run is known by its id,
`<run>/<number>`, not by its place in a file, and a number that was used once is never another's.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from vectors.formats import safetensors_file
from vectors.plain_text import natural
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

Held = dict[str, "tuple[SteeringVector, npt.NDArray[np.float32] | None]"]  # vectors and their losses [steps], by id


@dataclass(frozen=True)
class Run:
    """A run as the index knows it: its `rows` (id, name, file) in the order of their numbers, and the ids it has no more."""

    id: str
    rows: Sequence[sqlite3.Row]
    gone: frozenset[str]

    @classmethod
    def of(cls, db: sqlite3.Connection, run: str) -> Run:
        of_run = "WHERE id >= ? AND id < ?", (f"{run}/", f"{run}0")  # "0" comes next after "/"
        rows = db.execute(f"SELECT id, name, file FROM vectors {of_run[0]}", of_run[1]).fetchall()
        gone = db.execute(f"SELECT id FROM gone {of_run[0]}", of_run[1]).fetchall()
        return cls(run, sorted(rows, key=lambda row: _number(row["id"])), frozenset(row["id"] for row in gone))

    def ids(self, vectors: Sequence[SteeringVector], runs: Path) -> list[str]:
        """The ids of `vectors`, which are saved: what bears one of the run keeps it. `runs` is the folder of the run's file.

        What bears none has its place's, as long as all of the run is in its place. Once some of it has gone, or is in another
        file, places tell nothing: then what is new is numbered behind all that ever was.
        """
        own = [v.id if v.id.startswith(f"{self.id}/") else "" for v in vectors]
        placed = [f"{self.id}/{place}" for place in range(len(vectors))]
        file = f"{self.id}.safetensors"
        in_place = all(not id or id == place for id, place in zip(own, placed, strict=True))
        whole = not self.gone and all(row["file"] == file for row in self.rows)
        if in_place and whole and (not self.rows or (runs / file).exists()):
            return placed
        number = max(map(_number, (*own, *self.gone, *(row["id"] for row in self.rows))), default=-1)
        behind = (f"{self.id}/{one}" for one in count(number + 1))
        return [id or next(behind) for id in own]

    def held(self, runs: Path) -> Held:
        """What the files have of the run's vectors, in their order and under their present names. Raises VectorError."""
        files = {row["file"] for row in self.rows if row["file"].endswith(".safetensors")} or {f"{self.id}.safetensors"}
        found: dict[tuple[str, str], tuple[SteeringVector, npt.NDArray[np.float32] | None]] = {}
        for file in sorted(files):
            if (runs / file).exists():
                vectors, losses = safetensors_file.read(runs / file), safetensors_file.read_losses(runs / file)
                for first, vector in zip(safetensors_file.first_rows([v.blocks for v in vectors]), vectors, strict=True):
                    found[file, vector.id] = vector, losses[first] if losses is not None and first < len(losses) else None
        named: Held = {}
        for row in self.rows:
            if (one := found.get((row["file"], row["id"]))) is not None:
                named[row["id"]] = one[0].renamed(row["name"]), one[1]
        return named

    def file_for(self, ids: Set[str], runs: Path) -> str:
        """The name of the file to which the run's vectors `ids` are to be written.

        It is the one where the latest of them are, unless that has others too: that is left as it is.
        """
        own = {row["file"] for row in self.rows if row["file"].rpartition(".")[0].partition("~")[0] == self.id}
        file = max(own, default=f"{self.id}.safetensors")
        there = {row["id"] for row in self.rows if row["file"] == file}
        new = not there and not (runs / file).exists()
        return file if new or (there and there <= ids) else next_file(runs / file)


def next_file(path: Path) -> str:
    """A free name for what stays of `path`: it sorts behind it, which counts where both are there (vectors/store/fold.py)."""
    stem, _, version = path.stem.partition("~")
    try:
        number = int(version or "0", 16)
    except ValueError:
        number = 0
    names = (f"{stem}~{one:04x}.safetensors" for one in count(number + 1))
    return next(name for name in names if not path.with_name(name).exists())


def together(losses: Sequence[npt.NDArray[np.float32] | None]) -> npt.NDArray[np.float32] | None:
    """Losses [n, steps] of several vectors, NaN behind those of fewer steps; None where none has any."""
    steps = [0 if one is None else len(one) for one in losses]
    if all(one is None for one in losses):
        return None
    table = np.full((len(losses), max(steps)), np.nan, dtype=np.float32)
    for row, one in enumerate(losses):
        if one is not None:
            table[row, : len(one)] = one
    return table


def _number(id: str) -> int:
    """The number in a vector's id; -1 where there is none."""
    number = natural(id.rpartition("/")[2])
    return -1 if number is None else number
