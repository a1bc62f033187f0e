"""The library: everything kept, in one folder. Vectors live in files that describe themselves, what people add in a journal.

    runs/<run>.safetensors        all vectors of one run, in the format of vectors/formats/safetensors_file.py
    mixtures/<mixture>.json       recipes over other vectors (vectors/recipe.py), computed when they are asked for
    changes.jsonl                 names, stars, ratings, tags, notes, samples, labels, the trash: a line a change (journal.py)
    index.sqlite3                 all of that in a form that is quick to look up; made again from the files where it is lost
    talks/<talk>.json             conversations, written after every answer (vectors/store/conversations.py)

A file is written before the index speaks of it, and what the index does not know is taken in when the library is opened, so
a process killed at any moment loses nothing that was reported saved (vectors/store/transaction.py).
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vectors.formats import safetensors_file
from vectors.plain_text import one_line
from vectors.recipe import Recipe
from vectors.store import fold, indexed
from vectors.store.curation import Curation, Sample, vector_row
from vectors.store.index import LibraryError
from vectors.store.kept import Kept, origin_of, own_blocks
from vectors.store.mixtures import Mixture, depth, read_mixture
from vectors.store.runs import Held, Run, together
from vectors.store.samples import LABELS
from vectors.vector import ModelStamp, SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_TRIES = 100

__all__ = ["Kept", "Library", "Sample", "new_run_id"]


def new_run_id() -> str:
    """An id that sorts by time and does not collide between processes: 20261121-093000-4f2a61c8."""
    return time.strftime("%Y%m%d-%H%M%S") + "-" + secrets.token_hex(4)


class Library(Curation):
    """The library in `folder`, made where it does not exist. Any thread may call any method.

    How vectors are named, rated, tagged and deleted is in vectors/store/curation.py. Every method raises LibraryError (or
    VectorError for a file's own faults) with one clear line.
    """

    # Saving

    def save_run(
        self, run: str, vectors: Sequence[SteeringVector], losses: npt.NDArray[np.float32] | None = None
    ) -> list[SteeringVector]:
        """Writes a run's vectors, the earlier ones of the same run included; gives them back with ids and unique names.

        When this returns they are on disk, and with them all that was saved of the run before: vectors keep their names, ids
        and losses [n, steps]. One that was removed for good meanwhile is given back, and not written.
        """
        runs = self.folder / "runs"
        with self.changing() as change:
            self.refresh()  # names are chosen among all there are
            known = Run.of(change.db, run)
            names = {row["id"]: row["name"] for row in known.rows}
            named: list[SteeringVector] = []
            taken: set[str] = set()
            for id, vector in zip(known.ids(vectors, runs), vectors, strict=True):
                name = names.get(id) or self._free_name(vector.name or "vector", vector.origin.model.label(), taken)
                taken.add(name)
                named.append(replace(vector, id=id, name=name))
            held = self._held(known, {v.id for v in named}, losses is None)
            whole = dict(held or {})
            for i, vector in enumerate(named):
                earlier = whole[vector.id][1] if vector.id in whole else None
                whole[vector.id] = vector, losses[i] if losses is not None and i < len(losses) else earlier
            whole = {id: one for id, one in whole.items() if id not in known.gone}
            file = known.file_for(set() if held is None else whole.keys(), runs)
            if whole:
                all_of_it = [vector for vector, _ in whole.values()]
                data = safetensors_file.encode(all_of_it, together([loss for _, loss in whole.values()]))
                self.add_file(file, data, fold.rows_of(all_of_it), "the vectors")
        return named

    def add(self, vectors: Sequence[SteeringVector], kept: bool = True) -> list[SteeringVector]:
        """Saves vectors that belong to no run yet (imported, mixed) and, by default, keeps them: all, or none."""
        with self.changing():
            saved: dict[int, SteeringVector] = {}  # by their places in `vectors`
            for width in dict.fromkeys(v.d_model for v in vectors):
                places = [i for i, v in enumerate(vectors) if v.d_model == width]
                saved |= zip(places, self.save_run(self.unused_id(), [vectors[i] for i in places]), strict=True)
            named = [saved[i] for i in range(len(vectors))]
            if kept:
                self.keep([v.id for v in named])
            self.made(f"adding {named[0].name}", [v.id for v in named])
        return named

    def unused_id(self, before: str = "") -> str:
        """An id that no run and no mixture has or ever had, `before` in front. To be used in a transaction."""
        for _ in range(_TRIES):
            id = f"{before}{new_run_id()}"
            with self.reading() as db:
                used = (
                    "SELECT 1 FROM (SELECT id FROM vectors UNION ALL SELECT id FROM gone) WHERE id = ? OR (id >= ? AND id < ?)"
                )
                known = db.execute(used, (id, f"{id}/", f"{id}0")).fetchone()
            if known is None and not any(self.path_of(f"{id}.{end}").exists() for end in ("json", "safetensors")):
                return id
        raise LibraryError(f"no new id could be found: {id} is in {self.folder} already; try again")

    def next_number(self, stem: str, model: str) -> int:
        """The number behind the highest `stem-N` that the model's vectors bear, 1 where there is none."""
        with self.reading() as db:
            rows = db.execute(
                "SELECT name FROM vectors WHERE model = ? AND substr(name, 1, ?) = ?", (model, len(stem) + 1, f"{stem}-")
            ).fetchall()
        numbers = [int(end) for row in rows if (end := row["name"][len(stem) + 1 :].split(".")[0]).isdecimal()]
        return max(numbers, default=0) + 1

    def save_mixture(self, recipe: Recipe, name: str) -> Kept:
        """Keeps a mixture by its recipe. Raises VectorError where its parents do not fit together."""
        with self.changing():
            self.refresh()
            id = self.unused_id("mix-")
            depth(recipe, self.recipe)
            vector = recipe.computed(self.load)
            name = self._free_name(name or vector.name, vector.origin.model.label(), set())
            origin = replace(vector.origin, parents=recipe.parents, settings={"recipe": recipe.to_json()})
            mixture = Mixture.of(recipe, replace(vector, origin=origin, name=name, id=id))
            self.add_file(f"{id}.json", mixture.encode(), fold.rows_of([mixture]), "the mixture")
            self.keep([id])
            self.made(f"mixing {name}", [id])
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
        found = self.meant(name, model, trash)
        if not found:
            from vectors.expression import nearest  # which the first frame does without

            near = nearest(name, self.all_names(), 1)
            hint = f"; is it {near[0]}?" if near else "; `melbo-tui vectors list` shows what is kept"
            raise LibraryError(f"no vector is called {one_line(name, 60)}{hint}")
        if len(found) > 1:
            from vectors.expression.names import several

            raise LibraryError(several(name, [one.told for one in found]))
        return found[0]

    def meant(self, name: str, model: str | None = None, trash: bool = False) -> list[Kept]:
        """The vectors that `name`, a name or an id, may mean, one a model: none where nothing is called so.

        An id means its vector alone, and `model` decides where it has a vector of that name.
        """
        deleted = f"deleted IS {'NOT ' if trash else ''}NULL"
        found = self._select(f"WHERE (name = ? OR id = ?) AND {deleted} ORDER BY id = ? DESC, kept DESC", (name, name, name))
        if found and found[0].id == name:
            return found[:1]
        of_model = [k for k in found if model is None or k.model == model] or found
        first: dict[str, Kept] = {}
        for one in of_model:
            first.setdefault(one.model, one)
        return list(first.values())

    def all_names(self) -> list[str]:
        """The names of all vectors but the deleted ones, the newest first."""
        return [k.name for k in self.entries(kept_only=False)]

    def load(self, id: str) -> SteeringVector:
        """The vector with its numbers, under its present name; a mixture is computed from its parents."""
        recipe = self.recipe(id)
        if recipe is not None:
            depth(recipe, self.recipe)
        return self._loaded(id, {})

    def recipe(self, id: str) -> Recipe | None:
        """How a mixture is made; None for a vector that is none."""
        row = self._row(id)
        return read_mixture(self.path_of(row["file"])).recipe if row["file"].endswith(".json") else None

    def stamp(self, label: str) -> ModelStamp | None:
        """The shape of the model with that label, as vectors trained on it have it; None where there are none."""
        with self.reading() as db:
            for row in db.execute("SELECT origin FROM vectors WHERE model = ?", (label,)):
                with contextlib.suppress(VectorError):
                    stamp = origin_of(row["origin"]).model
                    if stamp.n_blocks:
                        return replace(stamp, fingerprint="")
        return None

    def names(self) -> dict[str, str]:
        """The present name of every vector, by id."""
        with self.reading() as db:
            return {row["id"]: row["name"] for row in db.execute("SELECT id, name FROM vectors")}

    def run(self, run: str) -> tuple[list[SteeringVector], npt.NDArray[np.float32] | None]:
        """What the run `run` has saved so far: its vectors under their present names, and their losses [n, steps]."""
        with self.reading() as db:
            held = Run.of(db, run).held(self.folder / "runs")
        return [vector for vector, _ in held.values()], together([losses for _, losses in held.values()])

    def losses(self, id: str) -> list[float]:
        """The vector's losses while it was trained, step by step; empty where there are none."""
        row = self._row(id)
        return [] if row["file"].endswith(".json") else safetensors_file.read_loss(self.path_of(row["file"]), row["row"])

    def samples(self, id: str) -> list[Sample]:
        with self.reading() as db:
            rows = db.execute("SELECT * FROM samples WHERE vector = ? ORDER BY prompt, coefficient", (id,)).fetchall()
        return [sample for row in rows if (sample := Sample.of_row(row)) is not None]

    def all_samples(self) -> dict[str, list[Sample]]:
        """The samples of every vector that has any, by its id."""
        with self.reading() as db:
            rows = db.execute("SELECT * FROM samples ORDER BY prompt, coefficient").fetchall()
        found: dict[str, list[Sample]] = {}
        for row in rows:
            if (sample := Sample.of_row(row)) is not None:
                found.setdefault(row["vector"], []).append(sample)
        return found

    def first_samples(self) -> dict[str, Sample]:
        """For every vector that has samples, the one nearest to coefficient 1."""
        with self.reading() as db:
            rows = db.execute("SELECT * FROM samples ORDER BY abs(coefficient - 1), created DESC").fetchall()
        found: dict[str, Sample] = {}
        for row in rows:
            if row["vector"] not in found and (sample := Sample.of_row(row)) is not None:
                found[row["vector"]] = sample
        return found

    def labelled(self) -> set[str]:
        """The ids of the vectors that have a sample with a reader's labels, some or all of them."""
        given = " OR ".join(f"{column} IS NOT NULL" for column in LABELS)
        with self.reading() as db:
            return {row["vector"] for row in db.execute(f"SELECT DISTINCT vector FROM samples WHERE {given}")}

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
        with self.reading() as db:
            found = [row["problem"] for row in db.execute("SELECT problem FROM files WHERE problem IS NOT NULL")]
            found += indexed.unreadable(db)
        return found + ([f"not all was taken in: {self.behind}"] if self.behind else [])

    def _loaded(self, id: str, known: dict[str, SteeringVector]) -> SteeringVector:
        """The vector; `known` are those that were computed on the way to it, each once however many mixtures need it."""
        if id in known:
            return known[id]
        row = self._row(id)
        if row["file"].endswith(".json"):
            mixture = read_mixture(self.path_of(row["file"]))
            mixed = mixture.recipe.computed(lambda parent: self._loaded(parent, known))
            known[id] = replace(mixed, origin=mixture.origin, name=row["name"], id=id)
        else:
            blocks = own_blocks(row)
            rows = safetensors_file.read_rows(self.path_of(row["file"]), row["row"], len(blocks))
            known[id] = SteeringVector(rows, blocks, origin_of(row["origin"]), row["name"], id)
        return known[id]

    def _held(self, known: Run, given: set[str], whole: bool) -> Held | None:
        """What was saved of a run, where it is needed beside the vectors `given`; None where it cannot be read."""
        if not whole and all(row["id"] in given for row in known.rows):
            return {}
        try:
            return known.held(self.folder / "runs") if known.rows else {}
        except VectorError:
            return None

    def _row(self, id: str) -> sqlite3.Row:
        with self.reading() as db:
            return vector_row(db, id)

    def _select(self, clause: str, values: tuple[Any, ...]) -> list[Kept]:
        with self.reading() as db:
            readable = f"SELECT * FROM (SELECT * FROM vectors WHERE {indexed.VECTOR})"
            return [Kept.of_row(row) for row in db.execute(f"{readable} {clause}", values)]
