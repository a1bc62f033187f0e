"""The library: everything kept, in one folder. Vectors live in safetensors files, what people add in an index.

    index.sqlite3                 names, notes, ratings, samples, the trash; rebuilt from the files where it is lost
    runs/<run>.safetensors        all vectors of one run, in the format of vectors/formats/safetensors_file.py
    talks/<talk>.json             conversations, written after every answer

A file is written before the index speaks of it, and files the index does not know are taken in when the library is
opened, so a process killed at any moment loses nothing that was reported saved.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vectors.atomic import sweep, write_atomically
from vectors.formats import safetensors_file
from vectors.index import Index, LibraryError
from vectors.plain_text import clean_name, one_line, printable
from vectors.vector import Origin, SteeringVector, VectorError


@dataclass(frozen=True)
class Kept:
    """A vector as the library lists it: everything but its numbers."""

    id: str
    name: str
    kept: bool
    model: str
    fingerprint: str
    d_model: int
    block: int
    method: str
    norm: float
    prompt: str
    created: float
    origin: Origin
    note: str
    deleted: bool


@dataclass(frozen=True)
class Sample:
    """A completion kept with a vector: what the model said to `prompt` under `coefficient` times it."""

    prompt: str
    coefficient: float
    text: str


def new_run_id() -> str:
    """An id that sorts by time and does not collide between processes: 20261121-093000-4f2a."""
    return time.strftime("%Y%m%d-%H%M%S") + "-" + secrets.token_hex(2)


class Library:
    """The library in `folder`, made where it does not exist. Any thread may call any method.

    Every method raises LibraryError (or VectorError for a file's own faults) with one clear line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()
        try:
            (self.folder / "runs").mkdir(parents=True, exist_ok=True)
            self._index = Index(self.folder / "index.sqlite3")
            sweep(self.folder / "runs")
            self.refresh()
        except OSError as error:
            raise LibraryError(f"the library {self.folder} cannot be used ({error.strerror or error})") from error

    # Saving

    def save_run(
        self, run: str, vectors: Sequence[SteeringVector], losses: npt.NDArray[np.float32] | None = None
    ) -> list[SteeringVector]:
        """Writes a run's vectors, the earlier ones of the same run included; gives them back with ids and unique names.

        When this returns they are on disk. Called again with more vectors, it keeps the names and ids of the earlier.
        """
        file = f"{run}.safetensors"
        known = {k.id: k.name for k in self._select("WHERE file = ?", (file,))}
        named: list[SteeringVector] = []
        taken: set[str] = set()
        for row, vector in enumerate(vectors):
            id = f"{run}/{row}"
            name = known.get(id) or self._free_name(vector.name or "vector", vector.origin.model.label(), taken)
            taken.add(name)
            named.append(replace(vector, id=id, name=name))
        try:
            write_atomically(self.folder / "runs" / file, safetensors_file.encode(named, losses))
        except OSError as error:
            raise LibraryError(f"the vectors could not be saved in {self.folder} ({error.strerror or error})") from error
        with self._index.changing() as db:
            _insert(db, file, [(row, v.id, v.name, v.block, v.norm, v.origin) for row, v in enumerate(named)])
        return named

    def add(self, vectors: Sequence[SteeringVector], kept: bool = True) -> list[SteeringVector]:
        """Saves vectors that belong to no run yet (imported, mixed) and, by default, keeps them."""
        if len({v.d_model for v in vectors}) > 1:
            return [saved for vector in vectors for saved in self.add([vector], kept)]
        named = self.save_run(new_run_id(), vectors)
        if kept:
            self.keep([v.id for v in named])
        return named

    def next_number(self, stem: str, model: str) -> int:
        """The number behind the highest `stem-N` that the model's vectors bear, 1 where there is none."""
        with self._index.reading() as db:
            rows = db.execute(
                "SELECT name FROM vectors WHERE model = ? AND substr(name, 1, ?) = ?", (model, len(stem) + 1, f"{stem}-")
            ).fetchall()
        numbers = [int(end) for row in rows if (end := row["name"][len(stem) + 1 :].split(".")[0]).isdecimal()]
        return max(numbers, default=0) + 1

    # Curating

    def keep(self, ids: Sequence[str], kept: bool = True) -> None:
        with self._index.changing() as db:
            db.executemany("UPDATE vectors SET kept = ? WHERE id = ?", [(int(kept), id) for id in ids])

    def rename(self, id: str, name: str) -> str:
        """Gives the vector a new name and keeps it; raises LibraryError when another of the same model has that name."""
        try:
            name = clean_name(name)
        except ValueError as error:
            raise LibraryError(str(error)) from error
        vector = self.get(id)
        with self._index.changing() as db:
            clash = db.execute(
                "SELECT id FROM vectors WHERE name = ? AND model = ? AND id != ? AND deleted IS NULL", (name, vector.model, id)
            ).fetchone()
            if clash:
                raise LibraryError(f"{name} is taken by another vector of {vector.model}; choose another name")
            db.execute("UPDATE vectors SET name = ?, kept = 1 WHERE id = ?", (name, id))
        return name

    def note(self, id: str, note: str) -> None:
        with self._index.changing() as db:
            db.execute("UPDATE vectors SET note = ? WHERE id = ?", (printable(note)[:10_000], id))

    def delete(self, ids: Sequence[str]) -> None:
        """Moves vectors to the trash: they are listed no more, and `restore` brings them back."""
        with self._index.changing() as db:
            db.executemany("UPDATE vectors SET deleted = ? WHERE id = ?", [(time.time(), id) for id in ids])

    def restore(self, ids: Sequence[str]) -> None:
        """Takes vectors out of the trash; one whose name was given away meanwhile gets a number behind it."""
        for id in ids:
            vector = self.get(id)
            if vector.deleted:
                name = self._free_name(vector.name, vector.model, set())
                with self._index.changing() as db:
                    db.execute("UPDATE vectors SET deleted = NULL, name = ? WHERE id = ?", (name, id))

    def add_sample(self, id: str, sample: Sample) -> None:
        with self._index.changing() as db:
            db.execute(
                "INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?, ?)",
                (id, sample.prompt, sample.coefficient, printable(sample.text), time.time()),
            )

    def save_talk(self, talk: str, turns: Sequence[Mapping[str, Any]]) -> None:
        """Keeps a conversation as talks/<talk>.json: per turn the message, the steering and the answers."""
        try:
            (self.folder / "talks").mkdir(exist_ok=True)
            write_atomically(self.folder / "talks" / f"{talk}.json", json.dumps(list(turns), indent=1).encode())
        except OSError as error:
            raise LibraryError(f"the conversation could not be saved in {self.folder} ({error.strerror or error})") from error

    # Reading

    def entries(self, kept_only: bool = True, trash: bool = False) -> list[Kept]:
        """What is kept, newest first; `kept_only=False` adds what runs found and nobody kept; `trash`: the trash."""
        where = f"WHERE deleted IS {'NOT ' if trash else ''}NULL" + (" AND kept = 1" if kept_only and not trash else "")
        return self._select(where + " ORDER BY created DESC, file DESC, row", ())

    def get(self, id: str) -> Kept:
        found = self._select("WHERE id = ?", (id,))
        if not found:
            raise LibraryError(f"there is no vector with the id {one_line(id, 60)} in {self.folder}")
        return found[0]

    def find(self, name: str, model: str | None = None, trash: bool = False) -> Kept:
        """The vector called `name` (or with that id); `model` decides between vectors of the same name."""
        found = self.called(name, trash)
        of_model = [k for k in found if model is None or k.model == model] or found
        if len({k.model for k in of_model}) > 1:
            models = ", ".join(sorted({k.model for k in of_model}))
            raise LibraryError(f"{one_line(name, 60)} exists for several models ({models}); say which with --model")
        return of_model[0]

    def called(self, name: str, trash: bool = False) -> list[Kept]:
        """All vectors called `name`, of whatever model, or the one with that id; LibraryError where there is none."""
        found = self._select(
            f"WHERE (name = ? OR id = ?) AND deleted IS {'NOT ' if trash else ''}NULL ORDER BY kept DESC", (name, name)
        )
        if not found:
            near = self._near(name)
            hint = f"; is it {near}?" if near else "; `melbo-tui vectors list` shows what is kept"
            raise LibraryError(f"no vector is called {one_line(name, 60)}{hint}")
        return found

    def load(self, id: str) -> SteeringVector:
        """The vector with its numbers, under its present name."""
        row = self._row(id)
        direction = safetensors_file.read_row(self.folder / "runs" / row["file"], row["row"])
        return SteeringVector(direction, row["block"], Origin.from_json(json.loads(row["origin"])), row["name"], id)

    def run(self, run: str) -> tuple[list[SteeringVector], npt.NDArray[np.float32] | None]:
        """What the run `run` has saved so far: its vectors under their present names, and their losses [n, steps]."""
        path = self.folder / "runs" / f"{run}.safetensors"
        if not path.exists():
            return [], None
        names = {k.id: k.name for k in self._select("WHERE file = ?", (path.name,))}
        vectors = [replace(v, name=names.get(v.id, v.name)) for v in safetensors_file.read(path)]
        return vectors, safetensors_file.read_tensor(path, "losses")

    def losses(self, id: str) -> list[float]:
        """The vector's losses while it was trained, step by step; empty where there are none."""
        row = self._row(id)
        return safetensors_file.read_loss(self.folder / "runs" / row["file"], row["row"])

    def samples(self, id: str) -> list[Sample]:
        with self._index.reading() as db:
            rows = db.execute("SELECT * FROM samples WHERE vector = ? ORDER BY prompt, coefficient", (id,)).fetchall()
        return [Sample(row["prompt"], row["coefficient"], row["text"]) for row in rows]

    def first_samples(self) -> dict[str, str]:
        """For every vector that has samples, the text of the one nearest to coefficient 1."""
        with self._index.reading() as db:
            rows = db.execute("SELECT vector, text FROM samples ORDER BY abs(coefficient - 1) DESC, created").fetchall()
        return {row["vector"]: row["text"] for row in rows}

    def problems(self) -> list[str]:
        """Files in the library that cannot be read, with what is wrong with each."""
        with self._index.reading() as db:
            return [row["problem"] for row in db.execute("SELECT problem FROM files WHERE problem IS NOT NULL")]

    def refresh(self) -> None:
        """Takes in files that the index does not know: another process's, or those written just before a crash."""
        with self._index.reading() as db:
            known = {row["name"] for row in db.execute("SELECT name FROM files WHERE problem IS NULL")}
        for path in sorted((self.folder / "runs").glob("*.safetensors")):
            if path.name in known:
                continue
            try:
                entries = safetensors_file.read_header(path)
            except VectorError as error:
                with self._index.changing() as db:
                    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (path.name, str(error)))
                continue
            with self._index.changing() as db:
                _insert(db, path.name, [(e.row, e.id, e.name, e.block, e.norm, e.origin) for e in entries])

    # Inside

    def _free_name(self, wanted: str, model: str, taken: set[str]) -> str:
        wanted = clean_name(wanted)
        with self._index.reading() as db:
            rows = db.execute(
                "SELECT name FROM vectors WHERE model = ? AND deleted IS NULL AND substr(name, 1, ?) = ?",
                (model, len(wanted), wanted),
            )
            used = {row["name"] for row in rows} | taken
        if wanted not in used:
            return wanted
        number = 2
        while f"{wanted}.{number}" in used:
            number += 1
        return f"{wanted}.{number}"

    def _near(self, name: str) -> str | None:
        import difflib

        close = difflib.get_close_matches(name, [k.name for k in self.entries(kept_only=False)], n=1)
        return close[0] if close else None

    def _row(self, id: str) -> sqlite3.Row:
        with self._index.reading() as db:
            row = db.execute("SELECT * FROM vectors WHERE id = ?", (id,)).fetchone()
        if row is None:
            raise LibraryError(f"there is no vector with the id {one_line(id, 60)} in {self.folder}")
        assert isinstance(row, sqlite3.Row)
        return row

    def _select(self, clause: str, values: tuple[Any, ...]) -> list[Kept]:
        with self._index.reading() as db:
            return [_kept(row) for row in db.execute(f"SELECT * FROM vectors {clause}", values)]


def _insert(db: sqlite3.Connection, file: str, rows: Sequence[tuple[int, str, str, int, float, Origin]]) -> None:
    """Adds rows (row, id, name, block, norm, origin) that are new; what people said of the others stays."""
    for row, id, name, block, norm, origin in rows:
        prompt = origin.prompts[0] if origin.prompts else ""
        stamp = origin.model
        db.execute(
            "INSERT OR IGNORE INTO vectors"
            " (id, file, row, name, model, fingerprint, d_model, block, method, norm, prompt, created, origin)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id, file, row, name, stamp.label(), stamp.fingerprint, stamp.d_model, block, origin.method, norm, prompt,
             origin.created, json.dumps(origin.to_json())),
        )  # fmt: skip
    db.execute("INSERT OR REPLACE INTO files VALUES (?, NULL)", (file,))


def _kept(row: sqlite3.Row) -> Kept:
    return Kept(
        id=row["id"], name=row["name"], kept=bool(row["kept"]), model=row["model"], fingerprint=row["fingerprint"],
        d_model=row["d_model"], block=row["block"], method=row["method"], norm=row["norm"], prompt=row["prompt"],
        created=row["created"], origin=Origin.from_json(json.loads(row["origin"])), note=row["note"],
        deleted=row["deleted"] is not None,
    )  # fmt: skip
