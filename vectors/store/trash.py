"""Emptying the trash: what was deleted goes for good, and what needs it gets numbers of its own first."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from vectors.formats import safetensors_file
from vectors.store.fold import rows_of
from vectors.store.index import LibraryError
from vectors.store.library import Library
from vectors.store.mixtures import read_mixture
from vectors.store.runs import next_file
from vectors.store.transaction import Transaction
from vectors.vector import VectorError


def empty_trash(library: Library) -> int:
    """Removes what is in the trash for good and gives its number. Mixtures of it get numbers of their own first."""
    with library.changing() as change:
        trash = {entry.id for entry in library.entries(trash=True)}
        if trash:
            _make_independent(library, change, trash)
            for row in list(change.db.execute("SELECT DISTINCT file FROM vectors WHERE deleted IS NOT NULL ORDER BY file")):
                _without(library, change, row["file"], trash)
            change.record({"t": time.time(), "purged": sorted(trash)})
        for path in superfluous(library):  # of an emptying that was cut off
            _forget(change, path)
    return len(trash)


def superfluous(library: Library) -> list[Path]:
    """Files of ours whose vectors are all in other files, or were removed for good: emptying the trash was cut off."""
    with library.index.reading() as db:
        query = "SELECT name FROM files WHERE problem IS NULL AND name NOT IN (SELECT file FROM vectors)"
        paths = [library.path_of(row["name"]) for row in db.execute(query)]
        known = {row["id"] for row in db.execute("SELECT id FROM vectors UNION SELECT id FROM gone")} if paths else set()
    found = []
    for path in paths:
        try:
            recipe = path.suffix == ".json"
            ids = [read_mixture(path).id] if recipe else [entry.id for entry in safetensors_file.read_header(path)]
        except VectorError:  # it has gone, or is told of elsewhere
            continue
        if all(id in known and (id if recipe else id.rpartition("/")[0]) in (path.stem.partition("~")[0], "") for id in ids):
            found.append(path)
    return found


def _make_independent(library: Library, change: Transaction, trash: set[str]) -> None:
    """Gives mixtures that need a vector of the trash, directly or through others, a file with their numbers."""
    needing = [
        entry
        for entry in library.entries(kept_only=False)
        if entry.id not in trash and entry.method == "mixture" and _needs(library, entry.id, trash)
    ]
    for entry, vector in [(entry, library.load(entry.id)) for entry in needing]:
        old, file = library.path_of(f"{entry.run}.json"), f"{library.unused_id()}.safetensors"
        library.add_file(file, safetensors_file.encode([vector]), rows_of([vector]), "a mixture's numbers", instead=True)
        _forget(change, old)


def _needs(library: Library, mixture: str, ids: set[str]) -> bool:
    """Whether the mixture needs one of the vectors `ids`, directly or through others, so far as that can be read."""
    seen, left = {mixture}, [mixture]
    while left:
        try:
            recipe = library.recipe(left.pop())
        except (LibraryError, VectorError):  # it is damaged, or its parent is gone: nothing could be computed of it
            return False
        for parent in recipe.parents if recipe is not None else ():
            if parent in ids:
                return True
            if parent not in seen:
                seen.add(parent)
                left.append(parent)
    return False


def _without(library: Library, change: Transaction, file: str, trash: set[str]) -> None:
    """Leaves the vectors of the trash out of `file`: what stays gets a new file, and the old one goes."""
    path = library.path_of(file)
    held = change.db.execute("SELECT id, name, row FROM vectors WHERE file = ? ORDER BY row", (file,))
    stay = [row for row in held if row["id"] not in trash]
    if stay:
        vectors = safetensors_file.read(path)
        at = dict(zip(safetensors_file.first_rows([v.blocks for v in vectors]), vectors, strict=True))
        losses = safetensors_file.read_losses(path)
        if losses is not None:
            losses = losses[[row["row"] for row in stay]]
        kept = [replace(at[row["row"]], id=row["id"], name=row["name"]) for row in stay]
        library.add_file(next_file(path), safetensors_file.encode(kept, losses), rows_of(kept), "what stays", instead=True)
    _forget(change, path)


def _forget(change: Transaction, path: Path) -> None:
    """Takes a file, whose vectors are elsewhere or gone, out of the index, and from the disk once that is saved."""
    change.db.execute("DELETE FROM files WHERE name = ?", (path.name,))
    change.outdated.append(path)
