"""Edits of vectors by people: names, stars, ratings, tags, notes, labels of samples, the trash. Every edit can be undone."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from os import PathLike
from types import EllipsisType
from typing import Any

from vectors.annotation import Annotation
from vectors.plain_text import clean_name, one_line, printable
from vectors.store.index import LibraryError, UnknownVector
from vectors.store.journal_lines import LONGEST_TAG, MAX_NOTE, MAX_TAGS, line_of_label, line_of_sample
from vectors.store.journal_lines import MAX_RATING as MAX_RATING
from vectors.store.samples import Place, label_of_row
from vectors.store.samples import Sample as Sample
from vectors.store.transaction import Store, Transaction


@dataclass(frozen=True)
class Edit:
    """One field of one vector, as it was and as it is."""

    id: str
    field: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Relabelling:
    """The labels of one sample, as they were and as they are."""

    place: Place
    before: Annotation | None
    after: Annotation | None


@dataclass(frozen=True)
class Change:
    """Edits that were made together, and what they were for."""

    label: str
    edits: tuple[Edit | Relabelling, ...]


class Curation(Store):
    """Edits of the library: what they depend on is read in the transaction that writes them.

    `history` is what this object changed, for `undo`.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self.history: list[Change] = []
        super().__init__(folder)

    def keep(self, ids: Sequence[str], kept: bool = True) -> None:
        self._change(f"{'keeping' if kept else 'dropping'} {_counted(ids)}", {id: {"kept": int(kept)} for id in ids})

    def rename(self, id: str, name: str) -> str:
        """Gives the vector a new name and keeps it; raises LibraryError when another of the same model has that name."""
        try:
            name = clean_name(name)
        except ValueError as error:
            raise LibraryError(str(error)) from error
        with self.changing() as change:
            model = vector_row(change.db, id)["model"]
            taken = "SELECT id FROM vectors WHERE name = ? AND model = ? AND id != ? AND deleted IS NULL"
            if change.db.execute(taken, (name, model, id)).fetchone():
                raise LibraryError(f"{name} is taken by another vector of {model}; choose another name")
            self._change(f"renaming to {name}", {id: {"name": name, "kept": 1}})
        return name

    def note(self, id: str, note: str) -> None:
        self._change("the note", {id: {"note": printable(note)[:MAX_NOTE]}})

    def rate(self, ids: Sequence[str], rating: int | None) -> None:
        """Ratings are 0 to 5; None takes one back."""
        if rating is not None:
            if not 0 <= rating <= MAX_RATING:
                raise LibraryError(f"a rating is a number from 0 to {MAX_RATING}, not {rating}")
            rating = int(rating)
        self._change(f"rating {_counted(ids)}", {id: {"rating": rating} for id in ids})

    def tag(self, ids: Sequence[str], add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        added, removed = [clean_tag(tag) for tag in add], {clean_tag(tag) for tag in remove}
        with self.changing() as change:
            new = {}
            for id in ids:
                tags = sorted({*vector_row(change.db, id)["tags"].split(), *added} - removed)
                if len(tags) > MAX_TAGS:
                    raise LibraryError(f"a vector has at most {MAX_TAGS} tags")
                new[id] = {"tags": " ".join(tags)}
            self._change(f"tagging {_counted(ids)}", new)

    def delete(self, ids: Sequence[str]) -> None:
        """Moves vectors to the trash: they are listed no more, and `restore` brings them back."""
        now = time.time()
        self._change(f"deleting {_counted(ids)}", {id: {"deleted": now} for id in ids})

    def restore(self, ids: Sequence[str]) -> None:
        """Takes vectors out of the trash; one whose name was given away meanwhile gets a number behind it."""
        with self.changing() as change:
            taken: set[str] = set()
            new = {}
            for id in ids:
                row = vector_row(change.db, id)
                if row["deleted"] is not None:
                    name = self._free_name(row["name"], row["model"], taken)
                    taken.add(name)
                    new[id] = {"deleted": None, "name": name}
            self._change(f"restoring {_counted(ids)}", new)

    def undo(self) -> str | None:
        """Takes back the last change made by this object that was not taken back yet; gives its label, None without one.

        What another program has changed since stays as it has it: of tags, those that the change brought go, and those that
        it took come back.
        """
        if not self.history:
            return None
        last = self.history[-1]
        with self.changing() as change:
            new: dict[str, dict[str, Any]] = {}
            taken: set[str] = set()
            undone = False
            for edit in last.edits:
                if isinstance(edit, Relabelling):
                    undone |= _relabelled(change, edit.place, edit.before, instead_of=edit.after) is not None
                    continue
                now = _row_or_none(change.db, edit.id)
                if now is None:
                    continue  # it was removed for good
                fields = new.setdefault(edit.id, {})
                if edit.field == "tags":
                    fields["tags"] = _tags_before(edit, now["tags"])
                elif now[edit.field] == edit.after or (edit.field == "name" and _is_numbered(now["name"], edit.after)):
                    fields[edit.field] = edit.before
            for id, fields in new.items():
                if "name" in fields or fields.get("deleted", 0) is None:
                    now = vector_row(change.db, id)
                    fields["name"] = self._free_name(fields.get("name", now["name"]), now["model"], taken, apart_from=id)
                    taken.add(fields["name"])
            self._change(last.label, new, remember=False)
        self._forget(last)
        if not (undone or any(new.values())):
            raise LibraryError(f"{last.label} cannot be undone: another program has changed it since")
        return last.label

    def made(self, label: str, ids: Sequence[str]) -> None:
        """Makes what the transaction has changed one step of `history`: vectors came in, and undo puts them away.

        To be called in the transaction: other threads add to `history` outside of it.
        """
        with self.changing() as change:
            while change.steps:
                self._forget(change.steps.pop())
            self._remember(change, Change(label, tuple(Edit(id, "deleted", time.time(), None) for id in ids)))

    def add_sample(self, id: str, sample: Sample) -> None:
        """Keeps a sample of the vector `id`, with the label that the same text had, unless it brings one of its own.

        Raises UnknownVector where the vector was removed for good meanwhile.
        """
        told = sample.to_json()
        with self.changing() as change:
            vector_row(change.db, id)
            change.record({"sample": line_of_sample({**told, "vector": id, "created": time.time()})})
            if sample.label is not None:
                _relabelled(change, Place.of(id, sample), sample.label)

    def label(self, labels: Mapping[Place, Annotation | None]) -> int:
        """Labels samples, or takes their labels back (None); gives how many there are of them, labelled so before or not.

        A label is the text's: a sample that is not there, or has another text by now, is left as it is.
        """
        with self.changing() as change:
            there = {place: edit for place, label in labels.items() if (edit := _relabelled(change, place, label)) is not None}
            edits = tuple(edit for edit in there.values() if edit.before != edit.after)
            if edits:
                self._remember(change, Change(f"labelling {_counted(edits, 'sample')}", edits))
        return len(there)

    def _change(self, label: str, new: Mapping[str, Mapping[str, Any]], remember: bool = True) -> None:
        """Sets fields of vectors, by id."""
        with self.changing() as change:
            edits: list[Edit] = []
            for id, fields in new.items():
                row = vector_row(change.db, id)
                edits += [Edit(id, field, row[field], value) for field, value in fields.items() if row[field] != value]
            now = time.time()
            for edit in edits:
                change.record({"t": now, "id": edit.id, "set": {edit.field: edit.after}})
            if edits and remember:
                self._remember(change, Change(label, tuple(edits)))

    def _remember(self, change: Transaction, step: Change) -> None:
        """Adds a step to `history`, for as long as the transaction is not taken back."""
        self.history.append(step)
        change.steps.append(step)
        change.undo.append(lambda: self._forget(step))

    def _forget(self, step: Change) -> None:
        with contextlib.suppress(ValueError):  # it was taken back already
            self.history.remove(step)

    def _free_name(self, wanted: str, model: str, taken: set[str], apart_from: str = "") -> str:
        """`wanted`, or with a number behind it what no other vector of the model is called. To be used in a transaction."""
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


def _relabelled(
    change: Transaction, place: Place, label: Annotation | None, instead_of: Annotation | EllipsisType | None = ...
) -> Relabelling | None:
    """Gives the sample at `place` that label; None, and nothing is done, where it is not there or has another text.

    `instead_of`: also where its label is not that one.
    """
    label = Annotation.from_line(label.to_line()) if label is not None else None  # as it is kept: None where it says nothing
    sought = "SELECT * FROM samples WHERE vector = ? AND prompt = ? AND coefficient = ? AND text = ?"
    row = change.db.execute(sought, astuple(place)).fetchone()
    before = label_of_row(row) if row is not None else None
    if row is None or (instead_of is not ... and before != instead_of):
        return None
    if before != label:
        change.record({"t": time.time(), "label": line_of_label(place, label)})
    return Relabelling(place, before, label)


def _tags_before(edit: Edit, now: str) -> str:
    """The tags `now`, without those that the edit brought, with those that it took."""
    before, after = set(edit.before.split()), set(edit.after.split())
    return " ".join(sorted((set(now.split()) - (after - before)) | (before - after)))


def _is_numbered(name: str, wanted: str) -> bool:
    """Whether a vector that was to be called `wanted` got `name`, as `_free_name` gives it."""
    return name.startswith(f"{wanted}.") and name[len(wanted) + 1 :].isdecimal()


def clean_tag(text: str) -> str:
    """A tag as it may be kept: one lower-case word of at most 40 characters. Raises LibraryError when nothing is left."""
    tag = "-".join(one_line(text.lower().replace(",", " "), LONGEST_TAG).split())
    if not tag:
        raise LibraryError("a tag needs at least one visible character")
    return tag


def vector_row(db: sqlite3.Connection, id: str) -> sqlite3.Row:
    """What the index knows of the vector `id`. Raises UnknownVector where it knows none."""
    row = _row_or_none(db, id)
    if row is None:
        raise UnknownVector(f"there is no vector with the id {one_line(id, 60)}")
    return row


def _row_or_none(db: sqlite3.Connection, id: str) -> sqlite3.Row | None:
    row: sqlite3.Row | None = db.execute("SELECT * FROM vectors WHERE id = ?", (id,)).fetchone()
    return row


def _counted(things: Sequence[object], kind: str = "vector") -> str:
    return f"{len(things)} {kind}s" if len(things) != 1 else f"a {kind}"
