"""Care of a library: find what is damaged, make the index anew, empty the trash."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from vectors.formats import safetensors_file
from vectors.index import LibraryError
from vectors.library import Library, new_run_id
from vectors.recipe import Recipe
from vectors.vector import VectorError


def check(library: Library) -> list[str]:
    """Reads everything; a line for each thing that is wrong, none where all is well."""
    found = list(library.problems())
    with library.index.reading() as db:
        known = list(db.execute("SELECT name, id, file, row FROM vectors ORDER BY file, row"))
    held: dict[str, int] = {}  # how many vectors each run's file holds; it is read once
    for file in sorted({row["file"] for row in known if not row["file"].endswith(".json")}):
        try:
            held[file] = len(safetensors_file.read(library.path_of(file)))
        except VectorError as error:
            if str(error) not in found:
                found.append(str(error))
    for row in known:
        if row["file"].endswith(".json"):
            try:
                library.load(row["id"])
            except (LibraryError, VectorError) as error:
                found.append(f"{row['name']}: {error}")
        elif row["file"] in held and row["row"] >= held[row["file"]]:
            found.append(f"{row['name']}: is not in {row['file']}")
    return found


def rebuild(folder: Path) -> Library:
    """Makes the index anew from the files and the journal; the old one stays beside it under another name."""
    index = folder.expanduser() / "index.sqlite3"
    try:
        for part in (index, *(index.with_name(index.name + end) for end in ("-journal", "-wal", "-shm"))):
            if part.exists():
                part.rename(part.with_name(f"{part.name}.before-{time.strftime('%Y%m%d-%H%M%S')}"))
    except OSError as error:
        raise LibraryError(f"the old index {index} cannot be moved away ({error.strerror or error})") from error
    return Library(folder)


def empty_trash(library: Library) -> int:
    """Removes what is in the trash for good and gives its number. Mixtures of it get numbers of their own first."""
    trash = {entry.id for entry in library.entries(trash=True)}
    if not trash:
        return 0
    _make_independent(library, trash)
    with library.index.reading() as db:
        files = {row["file"] for row in db.execute("SELECT DISTINCT file FROM vectors WHERE deleted IS NOT NULL")}
    for file in sorted(files):
        _without(library, file, trash)
    return len(trash)


def _make_independent(library: Library, trash: set[str]) -> None:
    """Gives mixtures that need a vector of the trash, directly or through others, a file with their numbers."""
    for entry in library.entries(kept_only=False):
        recipe = library.recipe(entry.id) if entry.method == "mixture" else None
        if recipe is not None and _needs(library, recipe, trash):
            vector = library.load(entry.id)
            file = f"{new_run_id()}.safetensors"
            library.write(Path("runs") / file, safetensors_file.encode([vector]), "a mixture's numbers")
            with library.index.changing() as db:
                old = db.execute("SELECT file FROM vectors WHERE id = ?", (entry.id,)).fetchone()["file"]
                db.execute("UPDATE vectors SET file = ?, row = 0 WHERE id = ?", (file, entry.id))
                db.execute("INSERT OR REPLACE INTO files VALUES (?, NULL)", (file,))
                db.execute("DELETE FROM files WHERE name = ?", (old,))
            (library.folder / "mixtures" / old).unlink(missing_ok=True)


def _needs(library: Library, recipe: Recipe, ids: set[str]) -> bool:
    for parent in recipe.parents:
        if parent in ids:
            return True
        deeper = library.recipe(parent)
        if deeper is not None and _needs(library, deeper, ids):
            return True
    return False


def _without(library: Library, file: str, trash: set[str]) -> None:
    """Leaves the vectors of the trash out of `file`: what stays gets a new file, then the old one goes."""
    path = library.path_of(file)
    with library.index.reading() as db:
        rows = list(db.execute("SELECT id, row FROM vectors WHERE file = ? ORDER BY row", (file,)))
    gone, stay = [row for row in rows if row["id"] in trash], [row for row in rows if row["id"] not in trash]
    fresh = f"{path.stem.split('~')[0]}~{new_run_id()[-4:]}.safetensors"
    if stay:
        vectors = safetensors_file.read(path)
        try:
            losses = safetensors_file.read_tensor(path, "losses")[[row["row"] for row in stay]]
        except VectorError:  # imported vectors have none
            losses = None
        kept = [replace(vectors[row["row"]], id=row["id"]) for row in stay]
        library.write(Path("runs") / fresh, safetensors_file.encode(kept, losses), "what stays")
    with library.index.changing() as db:
        ids = [row["id"] for row in gone]
        for table, column in (("vectors", "id"), ("samples", "vector")):
            db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(id,) for id in ids])
        db.executemany("INSERT OR IGNORE INTO gone VALUES (?)", [(id,) for id in ids])
        db.executemany("UPDATE vectors SET file = ?, row = ? WHERE id = ?", [(fresh, i, r["id"]) for i, r in enumerate(stay)])
        db.execute("DELETE FROM files WHERE name = ?", (file,))
        if stay:
            db.execute("INSERT OR REPLACE INTO files VALUES (?, NULL)", (fresh,))
        library.journal.append([{"t": time.time(), "purged": ids}])
    path.unlink(missing_ok=True)
