"""What people say of vectors: names, stars, ratings, tags, notes, the trash. All of it can be undone, none of it is lost."""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vectors.bounded import Coefficient, check
from vectors.errors import VectorError
from vectors.index import Index, LibraryError
from vectors.journal import Journal
from vectors.plain_text import clean_name, one_line, printable

FIELDS = ("name", "kept", "rating", "note", "tags", "deleted")
MAX_RATING, MAX_TAGS, MAX_NOTE = 5, 32, 10_000
# A sample's columns, in the order in which a line of the journal has them.
_SAMPLE = ("vector", "prompt", "coefficient", "text", "created", "kl", "perplexity", "thought")


@dataclass(frozen=True)
class Edit:
    """One field of one vector, as it was and as it is."""

    id: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Change:
    """Edits that were made together, and what they were for."""

    label: str
    edits: tuple[Edit, ...]


@dataclass(frozen=True)
class Sample:
    """A completion kept with a vector: what the model said to `prompt` under `coefficient` times it.

    `text` is the answer, `thought` what a thinking model thought before it. `kl` is how far the steered model's next-token
    distributions were from the unsteered one's on the answer, in nats a token; `perplexity` that of the answer under the
    unsteered model. None where they were not measured, or came to no finite number.
    """

    prompt: str
    coefficient: Coefficient
    text: str
    kl: float | None = None
    perplexity: float | None = None
    thought: str = ""

    def __post_init__(self) -> None:
        for name in ("kl", "perplexity"):
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                object.__setattr__(self, name, None)
        check(self)

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Sample | None:
        """From a row of the index's table `samples`; None where that holds what no sample can have."""
        try:
            return cls(row["prompt"], row["coefficient"], row["text"], row["kl"], row["perplexity"], row["thought"])
        except VectorError:
            return None


class Curation:
    """Edits of the index, each written to the journal first. `history` is what this object changed, for `undo`."""

    def __init__(self, index: Index, journal: Journal) -> None:
        self.index, self.journal = index, journal
        self.history: list[Change] = []

    def keep(self, ids: Sequence[str], kept: bool = True) -> None:
        self._change(f"{'keeping' if kept else 'dropping'} {_counted(ids)}", {id: {"kept": int(kept)} for id in ids})

    def rename(self, id: str, name: str) -> str:
        """Gives the vector a new name and keeps it; raises LibraryError when another of the same model has that name."""
        try:
            name = clean_name(name)
        except ValueError as error:
            raise LibraryError(str(error)) from error
        with self.index.reading() as db:
            model = vector_row(db, id)["model"]
            taken = "SELECT id FROM vectors WHERE name = ? AND model = ? AND id != ? AND deleted IS NULL"
            if db.execute(taken, (name, model, id)).fetchone():
                raise LibraryError(f"{name} is taken by another vector of {model}; choose another name")
        self._change(f"renaming to {name}", {id: {"name": name, "kept": 1}})
        return name

    def note(self, id: str, note: str) -> None:
        self._change("the note", {id: {"note": printable(note)[:MAX_NOTE]}})

    def rate(self, ids: Sequence[str], rating: int | None) -> None:
        """Ratings are 0 to 5; None takes one back."""
        if rating is not None and not 0 <= rating <= MAX_RATING:
            raise LibraryError(f"a rating is a number from 0 to {MAX_RATING}, not {rating}")
        self._change(f"rating {_counted(ids)}", {id: {"rating": rating} for id in ids})

    def tag(self, ids: Sequence[str], add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        added, removed = [clean_tag(tag) for tag in add], {clean_tag(tag) for tag in remove}
        new = {}
        with self.index.reading() as db:
            for id in ids:
                tags = sorted({*vector_row(db, id)["tags"].split(), *added} - removed)
                if len(tags) > MAX_TAGS:
                    raise LibraryError(f"a vector bears at most {MAX_TAGS} tags")
                new[id] = {"tags": " ".join(tags)}
        self._change(f"tagging {_counted(ids)}", new)

    def delete(self, ids: Sequence[str]) -> None:
        """Moves vectors to the trash: they are listed no more, and `restore` brings them back."""
        now = time.time()
        self._change(f"deleting {_counted(ids)}", {id: {"deleted": now} for id in ids})

    def restore(self, ids: Sequence[str]) -> None:
        """Takes vectors out of the trash; one whose name was given away meanwhile gets a number behind it."""
        taken: set[str] = set()
        new = {}
        for id in ids:
            with self.index.reading() as db:
                row = vector_row(db, id)
            if row["deleted"] is not None:
                name = self._free_name(row["name"], row["model"], taken)
                taken.add(name)
                new[id] = {"deleted": None, "name": name}
        self._change(f"restoring {_counted(ids)}", new)

    def undo(self) -> str | None:
        """Takes back the last change made by this object that was not taken back yet; gives its label, None without one."""
        if not self.history:
            return None
        change = self.history.pop()
        new: dict[str, dict[str, Any]] = {}
        for edit in change.edits:
            new.setdefault(edit.id, {})[edit.field] = edit.before
        with self.index.reading() as db:
            rows = {id: vector_row(db, id) for id in new}
        taken: set[str] = set()
        for id, fields in new.items():
            if "name" in fields or fields.get("deleted", 0) is None:
                wanted = fields.get("name", rows[id]["name"])
                fields["name"] = self._free_name(wanted, rows[id]["model"], taken, apart_from=id)
                taken.add(fields["name"])
        self._change(change.label, new, remember=False)
        return change.label

    def made(self, label: str, ids: Sequence[str], before: int) -> None:
        """Makes what `history` has gained since it was `before` long one change: vectors came in, and undo puts them away."""
        del self.history[before:]
        self.history.append(Change(label, tuple(Edit(id, "deleted", time.time(), None) for id in ids)))

    def add_sample(self, id: str, sample: Sample) -> None:
        text, thought = printable(sample.text), printable(sample.thought)
        values = (id, sample.prompt, sample.coefficient, text, time.time(), sample.kl, sample.perplexity, thought)
        with self.index.changing() as db:
            _insert_sample(db, values)
            self.journal.append([{"sample": list(values)}])

    def replay(self) -> None:
        """Puts into the index what the journal knows: for an index that was just made."""
        from vectors.journal_lines import change_of

        with self.index.changing() as db:
            for change in self.journal.changes():
                try:
                    change = change_of(change)
                    if "sample" in change:
                        _insert_sample(db, tuple(change["sample"]))
                    elif "set" in change:
                        _set(db, str(change["id"]), change["set"])
                except (KeyError, TypeError, ValueError, sqlite3.IntegrityError, sqlite3.ProgrammingError):
                    continue  # a line that is not ours does not keep the others from being read

    def record_all(self) -> None:
        """Writes what the index knows into the journal: for an index from before there was one."""
        with self.index.changing() as db:
            defaults = {"kept": 0, "rating": None, "note": "", "tags": "", "deleted": None}
            changes = []
            for row in db.execute("SELECT * FROM vectors"):
                fields = {"name": row["name"]} | {f: row[f] for f, usual in defaults.items() if row[f] != usual}
                changes.append({"t": time.time(), "id": row["id"], "set": fields})
            changes += [{"sample": list(row)} for row in db.execute(f"SELECT {', '.join(_SAMPLE)} FROM samples")]
            self.journal.append(changes)

    def _change(self, label: str, new: Mapping[str, Mapping[str, Any]], remember: bool = True) -> None:
        """Sets fields of vectors, by id: in the journal and in the index, or in neither."""
        edits: list[Edit] = []
        with self.index.changing() as db:
            for id, fields in new.items():
                row = vector_row(db, id)
                edits += [Edit(id, field, row[field], value) for field, value in fields.items() if row[field] != value]
                _set(db, id, fields)
            if not edits:
                return
            now = time.time()
            self.journal.append([{"t": now, "id": e.id, "set": {e.field: e.after}} for e in edits])
        if remember:
            self.history.append(Change(label, tuple(edits)))

    def _free_name(self, wanted: str, model: str, taken: set[str], apart_from: str = "") -> str:
        wanted = clean_name(wanted)
        with self.index.reading() as db:
            rows = db.execute(
                "SELECT name FROM vectors WHERE model = ? AND deleted IS NULL AND id != ? AND substr(name, 1, ?) = ?",
                (model, apart_from, len(wanted), wanted),
            )
            used = {row["name"] for row in rows} | taken
        if wanted not in used:
            return wanted
        number = 2
        while f"{wanted}.{number}" in used:
            number += 1
        return f"{wanted}.{number}"


def clean_tag(text: str) -> str:
    """A tag as it may be kept: one lower-case word of at most 40 characters. Raises LibraryError when nothing is left."""
    tag = "-".join(one_line(text.lower().replace(",", " "), 40).split())
    if not tag:
        raise LibraryError("a tag needs at least one visible character")
    return tag


def _set(db: sqlite3.Connection, id: str, fields: Mapping[str, Any]) -> None:
    for field, value in fields.items():
        if field not in FIELDS:
            raise ValueError(f"vectors have no {field}")
        db.execute(f"UPDATE vectors SET {field} = ? WHERE id = ?", (value, id))


def _insert_sample(db: sqlite3.Connection, values: tuple[Any, ...]) -> None:
    """`values` as a journal's line has them: one from before perplexities and thoughts were kept ends with the KL."""
    values = (*values, None, "") if len(values) == len(_SAMPLE) - 2 else values
    db.execute(f"INSERT OR REPLACE INTO samples ({', '.join(_SAMPLE)}) VALUES ({', '.join('?' * len(_SAMPLE))})", values)


def vector_row(db: sqlite3.Connection, id: str) -> sqlite3.Row:
    """What the index knows of the vector `id`. Raises LibraryError where it knows none."""
    row = db.execute("SELECT * FROM vectors WHERE id = ?", (id,)).fetchone()
    if row is None:
        raise LibraryError(f"there is no vector with the id {one_line(id, 60)}")
    assert isinstance(row, sqlite3.Row)
    return row


def _counted(ids: Sequence[str]) -> str:
    return f"{len(ids)} vectors" if len(ids) != 1 else "a vector"
