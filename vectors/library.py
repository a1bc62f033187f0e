"""The library: everything kept, in one folder. Vectors live in files that describe themselves, what people add in a journal.

    runs/<run>.safetensors        all vectors of one run, in the format of vectors/formats/safetensors_file.py
    mixtures/<mixture>.json       recipes over other vectors (vectors/recipe.py), computed when they are asked for
    changes.jsonl                 names, stars, ratings, tags, notes, samples, the trash: a line a change
    index.sqlite3                 all of that in a form that is quick to look up; made again from the files where it is lost
    talks/<talk>.json             conversations, written after every answer (vectors/talks.py)

A file is written before the index speaks of it, and files the index does not know are taken in when the library is
opened, so a process killed at any moment loses nothing that was reported saved.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vectors.atomic import sweep, write_atomically
from vectors.curation import Curation, Sample, vector_row
from vectors.formats import safetensors_file
from vectors.index import JOURNALLED, Index, LibraryError
from vectors.journal import Journal
from vectors.mixtures import Mixture, read_mixture
from vectors.plain_text import one_line, well_formed
from vectors.recipe import Recipe
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Kept", "Library", "Sample", "new_run_id"]
_DEEPEST = 50  # mixtures of mixtures


@dataclass(frozen=True, slots=True)
class Kept:
    """A vector as the library lists it: everything but its numbers. `run` names the file it came in."""

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
    note: str
    rating: int | None
    tags: tuple[str, ...]
    deleted: bool
    run: str
    origin_json: str

    @property
    def origin(self) -> Origin:
        return _origin(self.origin_json)


@lru_cache(maxsize=512)
def _origin(text: str) -> Origin:
    return Origin.from_json(json.loads(text))


def new_run_id() -> str:
    """An id that sorts by time and does not collide between processes: 20261121-093000-4f2a."""
    return time.strftime("%Y%m%d-%H%M%S") + "-" + secrets.token_hex(2)


class Library(Curation):
    """The library in `folder`, made where it does not exist. Any thread may call any method.

    How vectors are named, rated, tagged and deleted is in vectors/curation.py. Every method raises LibraryError (or
    VectorError for a file's own faults) with one clear line.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser()
        try:
            for part in ("runs", "mixtures"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
                sweep(self.folder / part)
            journal = Journal(self.folder / "changes.jsonl")
            super().__init__(Index(self.folder / "index.sqlite3"), journal)
            if self.index.found == 0:
                self._take_in_purged(journal)
            self.refresh()
            if self.index.found == 0:
                self.replay()
            elif self.index.found < JOURNALLED:
                self.record_all()
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
        self.write(Path("runs") / file, safetensors_file.encode(named, losses), "the vectors")
        with self.index.changing() as db:
            _insert(db, file, [(row, v.id, v.name, v.block, v.norm, v.origin) for row, v in enumerate(named)])
        return named

    def add(self, vectors: Sequence[SteeringVector], kept: bool = True) -> list[SteeringVector]:
        """Saves vectors that belong to no run yet (imported, mixed) and, by default, keeps them."""
        if len({v.d_model for v in vectors}) > 1:
            return [saved for vector in vectors for saved in self.add([vector], kept)]
        before = len(self.history)
        named = self.save_run(new_run_id(), vectors)
        if kept:
            self.keep([v.id for v in named])
        self.made(f"adding {named[0].name}", [v.id for v in named], before)
        return named

    def next_number(self, stem: str, model: str) -> int:
        """The number behind the highest `stem-N` that the model's vectors bear, 1 where there is none."""
        with self.index.reading() as db:
            rows = db.execute(
                "SELECT name FROM vectors WHERE model = ? AND substr(name, 1, ?) = ?", (model, len(stem) + 1, f"{stem}-")
            ).fetchall()
        numbers = [int(end) for row in rows if (end := row["name"][len(stem) + 1 :].split(".")[0]).isdecimal()]
        return max(numbers, default=0) + 1

    def save_mixture(self, recipe: Recipe, name: str) -> Kept:
        """Keeps a mixture by its recipe. Raises VectorError where its parents do not fit together."""
        before = len(self.history)
        vector = recipe.computed(self.load)
        id = f"mix-{new_run_id()}"
        name = self._free_name(name or vector.name, vector.origin.model.label(), set())
        origin = replace(vector.origin, parents=recipe.parents, settings={"recipe": recipe.to_json()})
        mixture = Mixture(id, name, recipe, vector.block, vector.norm, origin)
        self.write(Path("mixtures") / f"{id}.json", mixture.encode(), "the mixture")
        with self.index.changing() as db:
            _insert(db, f"{id}.json", [(0, id, name, vector.block, vector.norm, origin)])
        self.keep([id])
        self.made(f"mixing {name}", [id], before)
        return self.get(id)

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
        """The vector with its numbers, under its present name; a mixture is computed from its parents."""
        return self._loaded(id, 0)

    def recipe(self, id: str) -> Recipe | None:
        """How a mixture is made; None for a vector that is none."""
        row = self._row(id)
        return read_mixture(self.path_of(row["file"])).recipe if row["file"].endswith(".json") else None

    def stamp(self, label: str) -> ModelStamp | None:
        """The shape of the model with that label, as vectors trained on it have it; None where there are none."""
        with self.index.reading() as db:
            for row in db.execute("SELECT origin FROM vectors WHERE model = ?", (label,)):
                stamp = _origin(row["origin"]).model
                if stamp.n_blocks:
                    return replace(stamp, fingerprint="")
        return None

    def names(self) -> dict[str, str]:
        """The present name of every vector, by id."""
        with self.index.reading() as db:
            return {row["id"]: row["name"] for row in db.execute("SELECT id, name FROM vectors")}

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
        return [] if row["file"].endswith(".json") else safetensors_file.read_loss(self.path_of(row["file"]), row["row"])

    def samples(self, id: str) -> list[Sample]:
        with self.index.reading() as db:
            rows = db.execute("SELECT * FROM samples WHERE vector = ? ORDER BY prompt, coefficient", (id,)).fetchall()
        return [Sample.of_row(row) for row in rows]

    def first_samples(self) -> dict[str, Sample]:
        """For every vector that has samples, the one nearest to coefficient 1."""
        with self.index.reading() as db:
            rows = db.execute("SELECT * FROM samples ORDER BY abs(coefficient - 1) DESC, created").fetchall()
        return {row["vector"]: Sample.of_row(row) for row in rows}

    def sample(self, id: str, prompt: str, coefficient: float = 1.0) -> Sample | None:
        """The vector's sample on `prompt` at `coefficient`, None where there is none."""
        of_prompt = (sample for sample in self.samples(id) if sample.prompt == prompt)
        return next((sample for sample in of_prompt if sample.coefficient == coefficient), None)

    def changed_at(self) -> int:
        """Grows whenever anybody changes the library: nanoseconds of its last change, cheap to ask for."""
        try:
            times = [path.stat().st_mtime_ns for path in (self.index.path, self.folder / "runs", self.folder / "mixtures")]
        except OSError:
            return 0
        return max(times)

    def problems(self) -> list[str]:
        """Files in the library that cannot be read, with what is wrong with each."""
        with self.index.reading() as db:
            return [row["problem"] for row in db.execute("SELECT problem FROM files WHERE problem IS NOT NULL")]

    def refresh(self) -> None:
        """Takes in files that the index does not know: another process's, or those written just before a crash."""
        paths = [*(self.folder / "runs").glob("*.safetensors"), *(self.folder / "mixtures").glob("*.json")]
        with self.index.reading() as db:
            files = {row["name"]: row["problem"] for row in db.execute("SELECT * FROM files")}
        known = {name for name, problem in files.items() if problem is None}
        left = files.keys() - known - {well_formed(path.name) for path in paths}  # damaged ones that were taken away
        if left:
            with contextlib.suppress(LibraryError), self.index.changing() as db:
                db.executemany("DELETE FROM files WHERE name = ? AND problem IS NOT NULL", [(name,) for name in left])
        for path in sorted(path for path in paths if path.name not in known):
            rows: list[tuple[int, str, str, int, float, Origin]]
            try:
                if well_formed(path.name) != path.name:
                    raise VectorError(f"{path.name}: its name has bytes that are no UTF-8; rename it")
                if path.suffix == ".json":
                    m = read_mixture(path)
                    rows = [(0, m.id, m.name, m.block, m.norm, m.origin)]
                else:
                    rows = [(e.row, e.id, e.name, e.block, e.norm, e.origin) for e in safetensors_file.read_header(path)]
            except VectorError as error:
                with self.index.changing() as db:
                    db.execute("INSERT OR REPLACE INTO files VALUES (?, ?)", (well_formed(path.name), one_line(str(error))))
                continue
            with self.index.changing() as db:
                _insert(db, path.name, rows)

    # Files

    def write(self, file: Path, data: bytes, what: str) -> None:
        """Writes `file`, a path within the library, atomically. Raises LibraryError, which says that `what` was not saved."""
        try:
            (self.folder / file.parent).mkdir(exist_ok=True)
            write_atomically(self.folder / file, data)
        except OSError as error:
            raise LibraryError(f"{what} could not be saved in {self.folder} ({error.strerror or error})") from error

    def path_of(self, file: str) -> Path:
        """Where a file that the index speaks of lies."""
        return self.folder / ("mixtures" if file.endswith(".json") else "runs") / file

    def _loaded(self, id: str, depth: int) -> SteeringVector:
        row = self._row(id)
        if not row["file"].endswith(".json"):
            direction = safetensors_file.read_row(self.path_of(row["file"]), row["row"])
            return SteeringVector(direction, row["block"], _origin(row["origin"]), row["name"], id)
        if depth > _DEEPEST:
            raise LibraryError(f"{row['name']} is a mixture of mixtures of mixtures without end")
        mixture = read_mixture(self.path_of(row["file"]))
        mixed = mixture.recipe.computed(lambda parent: self._loaded(parent, depth + 1))
        return replace(mixed, origin=mixture.origin, name=row["name"], id=id)

    def _take_in_purged(self, journal: Journal) -> None:
        with self.index.changing() as db:
            for change in journal.changes():
                db.executemany("INSERT OR IGNORE INTO gone VALUES (?)", [(str(id),) for id in change.get("purged", ())])

    def _near(self, name: str) -> str | None:
        import difflib

        close = difflib.get_close_matches(name, [k.name for k in self.entries(kept_only=False)], n=1)
        return close[0] if close else None

    def _row(self, id: str) -> sqlite3.Row:
        with self.index.reading() as db:
            return vector_row(db, id)

    def _select(self, clause: str, values: tuple[Any, ...]) -> list[Kept]:
        with self.index.reading() as db:
            return [_kept(row) for row in db.execute(f"SELECT * FROM vectors {clause}", values)]


def _insert(db: sqlite3.Connection, file: str, rows: Sequence[tuple[int, str, str, int, float, Origin]]) -> None:
    """Adds rows (row, id, name, block, norm, origin) that are new; what people said of the others stays."""
    gone = {row["id"] for row in db.execute("SELECT id FROM gone")}
    for row, id, name, block, norm, origin in rows:
        if id in gone:
            continue
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
        created=row["created"], note=row["note"], rating=row["rating"], tags=tuple(row["tags"].split()),
        deleted=row["deleted"] is not None, run=row["file"].rpartition(".")[0], origin_json=row["origin"],
    )  # fmt: skip
