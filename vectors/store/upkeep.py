"""Care of a library: find what is damaged, tell what needs care, make the index anew."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from vectors.files import disk
from vectors.formats import safetensors_file
from vectors.plain_text import one_line
from vectors.store import indexed
from vectors.store.checkpoints import Checkpoints
from vectors.store.index import DamagedIndex, LibraryError
from vectors.store.index_schema import VERSION
from vectors.store.kept import origin_of
from vectors.store.library import Library
from vectors.store.trash import empty_trash, superfluous
from vectors.vector import VectorError

__all__ = ["care", "check", "empty_trash", "rebuild"]

_SECONDS = 60.0  # a temporary file that is older is nobody's any more


def check(library: Library) -> list[str]:
    """Reads everything; a line for each thing that is wrong, none where all is well."""
    found = list(library.problems())
    with library.index.reading() as db:
        readable = f"SELECT name, id, file, row, origin FROM vectors WHERE {indexed.VECTOR} ORDER BY file, row"
        known = list(db.execute(readable))
    held: dict[str, int] = {}  # how many rows each run's file has; it is read once
    for file in sorted({row["file"] for row in known if not row["file"].endswith(".json")}):
        try:
            held[file] = sum(len(vector.blocks) for vector in safetensors_file.read(library.path_of(file)))
        except VectorError as error:
            if str(error) not in found:
                found.append(str(error))
    for row in known:
        if row["file"].endswith(".json"):
            try:
                library.load(row["id"])
            except (LibraryError, VectorError) as error:
                found.append(f"{one_line(row['name'], 80)}: {error}")
        elif row["file"] in held and row["row"] >= held[row["file"]]:
            found.append(one_line(f"{row['name']}: is not in {row['file']}", 200))
        else:
            found += _strange_origin(row)
    return found


def _strange_origin(row: sqlite3.Row) -> list[str]:
    try:
        origin_of(row["origin"])
        return []
    except VectorError as error:
        return [f"{one_line(row['name'], 80)}: {error}; `melbo-tui vectors rebuild` reads its file again"]


def care(library: Library) -> list[str]:
    """A line for each thing that somebody should look at, without reading the vectors: none where all is well."""
    found = library.problems()
    if library.is_behind():
        found.append("the index is behind the files and the journal: any change of the library takes them in")
    found += _counted(superfluous(library), "left over from emptying the trash: `melbo-tui vectors empty-trash` removes them")
    found += _counted(_leftovers(library.folder), "left by a program that was killed: they can be deleted")
    earlier = [path for kind in ("before-*", "v*.bak") for path in sorted(library.folder.glob(f"index.sqlite3.{kind}"))]
    found += _counted(earlier, "an earlier index: it can be deleted if all is well")
    unfinished = Checkpoints(library.folder).unfinished()
    if unfinished:
        found.append(f"unfinished runs: {', '.join(unfinished)}; `melbo-tui train --resume RUN` goes on with one")
    return found + ([line] if (line := disk.nearly_full(library.folder)) else [])


def rebuild(folder: Path) -> Library:
    """Makes the index anew from the files and the journal; the old one stays beside it under another name."""
    folder = folder.expanduser()
    index = folder / "index.sqlite3"
    end = time.strftime("before-%Y%m%d-%H%M%S")
    if _is_sound(index):
        with contextlib.suppress(DamagedIndex):  # its pages are in order, and what they hold is not
            library = Library(folder)
            library.index.back_up(end)
            library.rebuild()  # in its place: other processes may be using it
            return library
    try:
        for part in (index, *(index.with_name(f"{index.name}-{kind}") for kind in ("journal", "wal", "shm"))):
            if part.exists():
                part.rename(part.with_name(f"{part.name}.{end}"))
    except OSError as error:
        raise LibraryError(f"the old index {index} cannot be moved away ({error.strerror or error})") from error
    return Library(folder)


def _is_sound(index: Path) -> bool:
    """Whether the index is one that can be read, and no page of it is damaged."""
    try:
        with closing(sqlite3.connect(index)) as db:
            check, version = (db.execute(f"PRAGMA {ask}").fetchone()[0] for ask in ("quick_check", "user_version"))
            return bool(check == "ok" and 0 < version <= VERSION)
    except (sqlite3.Error, UnicodeDecodeError):  # what it says of damage quotes the bytes
        return False


def _leftovers(folder: Path) -> list[Path]:
    """Temporary files of writers that were killed."""
    found = []
    for path in (*folder.glob(".*.tmp"), *folder.glob("*/.*.tmp")):
        try:
            if time.time() - path.stat().st_mtime > _SECONDS:
                found.append(path)
        except OSError:
            continue  # it has just gone
    return sorted(found)


def _counted(paths: Sequence[Path], what: str) -> list[str]:
    """One line for all of `paths`, with what they take of the disk."""
    if not paths:
        return []
    size = sum(path.stat().st_size for path in paths if path.exists())
    others = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return [f"{paths[0].name}{others} ({size / 1e6:.1f} MB): {what}"]
