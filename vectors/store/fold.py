"""Applies the files and the journal to the index. Call everything here in a transaction; applying twice changes nothing."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vectors.block_ranges import ranges
from vectors.files.strict_json import dumps
from vectors.formats import safetensors_file
from vectors.plain_text import one_line, well_formed
from vectors.recipe import Recipe
from vectors.store.journal import Journal, Position, parsed, stamp_of
from vectors.store.journal_lines import SAMPLE, change_of, line_of_label
from vectors.store.mixtures import Mixture, depth, read_mixture
from vectors.store.samples import LABELS, Place, label_of_row
from vectors.vector import Origin, SteeringVector, VectorError

FIELDS = {"name": None, "kept": 0, "rating": None, "note": "", "tags": "", "deleted": None}  # and what most vectors have
# Its first row in the file, id, name, blocks, norm, origin.
Row = tuple[int, str, str, tuple[int, ...], float, Origin]
Described = SteeringVector | safetensors_file.Entry | Mixture  # what has an id, a name, blocks, a norm and an origin


# The journal


def position(db: sqlite3.Connection) -> Position:
    """Up to where the index has taken in the journal."""
    row = db.execute("SELECT bytes, crc, stamp FROM taken").fetchone()
    return Position(*row) if row is not None else Position()


def take_note(db: sqlite3.Connection, end: Position) -> None:
    """Writes down that the index has taken in the journal up to `end`."""
    db.execute("INSERT OR REPLACE INTO taken VALUES (1, ?, ?, ?)", (end.bytes, end.crc, end.stamp))


def take_in_lines(db: sqlite3.Connection, journal: Journal, start: Position) -> None:
    """Takes in the journal from `start` to its end, and closes off a line that was cut off there."""
    end, line = start, b"\n"
    for behind, line in journal.read(start):
        end = behind
        for change in parsed(line):
            take_in(db, change)
    if not line.endswith(b"\n"):
        end = journal.close_off(end)
    take_note(db, Position(end.bytes, end.crc, journal.stamp()))


def take_in(db: sqlite3.Connection, change: Mapping[str, Any], only: Collection[str] | None = None) -> None:
    """Applies a change that was read from the journal; one that is not ours does nothing, and keeps no other from it."""
    # InterfaceError and ProgrammingError: values of kinds that no column takes.
    ours = LookupError, TypeError, ValueError, OverflowError
    with contextlib.suppress(*ours, sqlite3.IntegrityError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
        apply(db, change_of(change), only)


def apply(db: sqlite3.Connection, change: Mapping[str, Any], only: Collection[str] | None = None) -> None:
    """Does to the index what `change` says, in a journal line's form, or that of it which is about the vectors `only`."""
    if "sample" in change:
        values = change["sample"]
        if only is None or values[0] in only:
            _set_sample(db, values)
    elif "label" in change:
        if only is None or change["label"]["vector"] in only:
            _set_label(db, change["label"])
    elif "set" in change:
        if only is None or change["id"] in only:
            _set_fields(db, str(change["id"]), change["set"])
    elif "purged" in change:
        _purge(db, [str(id) for id in change["purged"] if only is None or id in only])


def _set_fields(db: sqlite3.Connection, id: str, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        if field not in FIELDS:
            raise ValueError(f"vectors have no {field}")
        db.execute(f"UPDATE vectors SET {field} = ? WHERE id = ?", (value, id))


def _set_sample(db: sqlite3.Connection, values: Sequence[Any]) -> None:
    """`values` by column, as a journal's line has them; a label stays with the text that it was given."""
    if db.execute("SELECT 1 FROM gone WHERE id = ?", (values[0],)).fetchone():
        return  # its vector was removed for good
    new = [f"{column} = excluded.{column}" for column in SAMPLE]
    new += [f"{column} = CASE WHEN text = excluded.text THEN {column} END" for column in LABELS]
    db.execute(
        f"INSERT INTO samples ({', '.join(SAMPLE)}) VALUES ({', '.join('?' * len(SAMPLE))})"
        f" ON CONFLICT (vector, prompt, coefficient) DO UPDATE SET {', '.join(new)}",
        values,
    )


def _set_label(db: sqlite3.Connection, values: Mapping[str, Any]) -> None:
    """The labels in `values`, a journal's line, of the sample that it names; none where that has another text."""
    sample = ("vector", "prompt", "coefficient", "text")
    db.execute(
        f"UPDATE samples SET {', '.join(f'{column} = ?' for column in LABELS)}"
        f" WHERE {' AND '.join(f'{column} = ?' for column in sample)}",
        [values.get(column) for column in LABELS] + [values[column] for column in sample],
    )


def _purge(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Forgets vectors for good."""
    for id in ids:
        db.execute("INSERT OR IGNORE INTO gone VALUES (?)", (id,))
        db.execute("DELETE FROM vectors WHERE id = ?", (id,))
        db.execute("DELETE FROM samples WHERE vector = ?", (id,))


def state(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """Lines for a journal that come to what the index knows now."""
    now = time.time()
    lines: list[dict[str, Any]] = [{"purged": [row["id"] for row in db.execute("SELECT id FROM gone")]}]
    for row in db.execute("SELECT * FROM vectors"):
        fields = {field: row[field] for field, usual in FIELDS.items() if row[field] != usual}
        lines.append({"t": now, "id": row["id"], "set": fields})
    lines += [{"sample": list(row)} for row in db.execute(f"SELECT {', '.join(SAMPLE)} FROM samples")]
    for row in db.execute("SELECT * FROM samples"):
        if (label := label_of_row(row)) is not None:
            place = Place(row["vector"], row["prompt"], row["coefficient"], row["text"])
            lines.append({"t": now, "label": line_of_label(place, label)})
    return lines


# The files


def files_of(folder: Path) -> list[Path]:
    """The files that hold the library's vectors."""
    return [*(folder / "mixtures").glob("*.json"), *(folder / "runs").glob("*.safetensors")]


def changed_files(db: sqlite3.Connection, folder: Path, damaged: bool = True) -> tuple[list[Path], list[str]]:
    """Files that the index does not know as they are, and names of damaged ones that are there no more.

    `damaged` ones are among the first, changed or not: they may be read now that, say, their owner has allowed it.
    """
    known = {row["name"]: row for row in db.execute("SELECT * FROM files")}
    paths = files_of(folder)
    changed = []
    for path in sorted(paths):
        row = known.get(well_formed(path.name))
        try:
            if row is None or (damaged and row["problem"] is not None) or row["stamp"] != stamp_of(path, link=True):
                changed.append(path)
        except OSError:
            continue  # it has just gone
    there = {well_formed(path.name) for path in paths}
    return changed, [name for name, row in known.items() if row["problem"] is not None and name not in there]


def take_in_files(db: sqlite3.Connection, folder: Path, journal: Journal) -> None:
    """Takes in the files that were written, changed or taken away, with all that the journal knows of their vectors."""
    changed, left = changed_files(db, folder)
    db.executemany("DELETE FROM files WHERE name = ?", [(name,) for name in left])
    new: set[str] = set()
    recipes = _Recipes(db, folder, changed)
    for path in changed:
        try:
            stamp = stamp_of(path, link=True)
        except OSError:
            continue  # it has just gone
        try:
            rows = _rows(path, recipes)
        except VectorError as error:
            told = one_line(str(error))
            db.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (well_formed(path.name), told, stamp))
            continue
        new |= insert(db, path.name, rows, stamp)
    if new and (taken := position(db).bytes):
        for change in journal.changes(taken):
            take_in(db, change, new)


def insert(db: sqlite3.Connection, file: str, rows: Sequence[Row], stamp: str, instead: bool = False) -> set[str]:
    """Adds what is new of a file's rows, and gives its ids. What people said of the others stays.

    `instead`: the file takes the place of the one in which a vector is now.
    """
    gone = {row["id"] for row in db.execute("SELECT id FROM gone")}
    new: set[str] = set()
    seen: set[str] = set()
    for row, id, name, blocks, norm, origin in rows:
        if id in gone or id in seen:
            continue
        seen.add(id)
        known = db.execute("SELECT file FROM vectors WHERE id = ?", (id,)).fetchone()
        if known is not None:
            if instead or file == known["file"] or _rank(file, id) > _rank(known["file"], id):
                db.execute("UPDATE vectors SET file = ?, row = ? WHERE id = ?", (file, row, id))
            continue
        new.add(id)
        prompt, model = origin.prompts[0] if origin.prompts else "", origin.model
        db.execute(
            "INSERT INTO vectors"
            " (id, file, row, name, model, fingerprint, d_model, block, blocks, method, norm, prompt, created, origin)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            # SQLite would keep a number of numpy's as its bytes, which nobody can read again.
            (id, file, row, name, model.label(), model.fingerprint, int(model.d_model), int(blocks[0]),
             ranges(blocks) if len(blocks) > 1 else "", origin.method, float(norm), prompt, float(origin.created),
             dumps(origin.to_json())),
        )  # fmt: skip
    db.execute("INSERT OR REPLACE INTO files VALUES (?, NULL, ?)", (file, stamp))
    return new


def _rank(file: str, id: str) -> tuple[bool, bool, str]:
    """Which of several files with the vector `id` counts, whatever the order they were taken in: the one of the greatest rank.

    Numbers before a recipe, whose parents may be gone; the file of the vector's run before a copy under another name; the one
    that was written when the trash was emptied before the one that it was written from.
    """
    own = file.rpartition(".")[0].partition("~")[0] == id.rpartition("/")[0]
    return file.endswith(".safetensors"), own, file if own else ""


class _Recipes(dict[str, Recipe | None]):
    """How mixtures are made, by id: those of the files that are taken in and, read when they are asked for, of the others."""

    def __init__(self, db: sqlite3.Connection, folder: Path, new: Iterable[Path]) -> None:
        super().__init__()
        self._db, self._folder = db, folder
        for path in new:
            if path.suffix == ".json":
                with contextlib.suppress(VectorError):  # it is told of when its own turn comes
                    mixture = read_mixture(path)
                    self.setdefault(mixture.id, mixture.recipe)

    def __missing__(self, id: str) -> Recipe | None:
        self[id] = None
        row = self._db.execute("SELECT file FROM vectors WHERE id = ?", (id,)).fetchone()
        if row is not None and row["file"].endswith(".json"):
            with contextlib.suppress(VectorError):
                self[id] = read_mixture(self._folder / "mixtures" / row["file"]).recipe
        return self[id]


def _rows(path: Path, recipes: _Recipes) -> list[Row]:
    if well_formed(path.name) != path.name:
        raise VectorError(f"{path.name}: its name has bytes that are no UTF-8; rename it")
    if path.suffix == ".json":
        m = read_mixture(path)
        try:
            depth(m.recipe, recipes.__getitem__)
        except VectorError as error:
            raise VectorError(f"{path.name}: {error}") from error
        return rows_of([m])
    return rows_of(safetensors_file.read_header(path))


def rows_of(described: Sequence[Described]) -> list[Row]:
    """The index's rows of what one file holds, in its order."""
    firsts = safetensors_file.first_rows([one.blocks for one in described])
    return [(first, d.id, d.name, d.blocks, d.norm, d.origin) for first, d in zip(firsts, described, strict=True)]


def refold(db: sqlite3.Connection, folder: Path, journal: Journal) -> None:
    """Makes the index's content again from the files and the journal."""
    for table in ("vectors", "samples", "gone", "files", "taken"):
        db.execute(f"DELETE FROM {table}")
    for change in journal.changes():
        if "purged" in change:
            take_in(db, change)
    take_in_files(db, folder, journal)
    take_in_lines(db, journal, Position())
