"""The library's SQLite index: what people add to vectors, and what is needed to list them without opening their files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from vectors.plain_text import one_line

VERSION = 3
JOURNALLED = 2  # the first version beside which there is a journal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS vectors (
    id TEXT PRIMARY KEY,
    file TEXT NOT NULL,
    row INTEGER NOT NULL,
    name TEXT NOT NULL,
    kept INTEGER NOT NULL DEFAULT 0,
    model TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    d_model INTEGER NOT NULL,
    block INTEGER NOT NULL,
    method TEXT NOT NULL,
    norm REAL NOT NULL,
    prompt TEXT NOT NULL,
    created REAL NOT NULL,
    origin TEXT NOT NULL,
    rating INTEGER,
    note TEXT NOT NULL DEFAULT '',
    deleted REAL,
    tags TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, problem TEXT);
CREATE TABLE IF NOT EXISTS samples (
    vector TEXT NOT NULL, prompt TEXT NOT NULL, coefficient REAL NOT NULL, text TEXT NOT NULL, created REAL NOT NULL,
    kl REAL, perplexity REAL, thought TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (vector, prompt, coefficient)
);
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY);
CREATE INDEX IF NOT EXISTS by_name ON vectors (name);
CREATE INDEX IF NOT EXISTS by_file ON vectors (file);
"""
# The columns that each version's index lacks of the next one's.
_ADDED = {
    1: (("vectors", "tags", "TEXT NOT NULL DEFAULT ''"), ("samples", "kl", "REAL")),
    2: (("samples", "perplexity", "REAL"), ("samples", "thought", "TEXT NOT NULL DEFAULT ''")),
}


class LibraryError(Exception):
    """The library cannot do what was asked; the message says why and what to do."""


class Index:
    """Short-lived connections to one SQLite file, so that any thread and any other process may use it at any time.

    `found` is the version of the index that was there, 0 where there was none. An older one is brought to this version,
    and a copy of how it was stays beside it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.reading() as db:
            self.found = int(db.execute("PRAGMA user_version").fetchone()[0])
        if self.found > VERSION:
            raise LibraryError(f"{path}: written by a newer melbo-tui (index {self.found}); update to open this library")
        if self.found == VERSION:
            return
        if self.found:
            self._back_up()
        with self.changing() as db:
            version = int(db.execute("PRAGMA user_version").fetchone()[0])  # another process may have been here first
            while 0 < version < VERSION:
                for table, column, kind in _ADDED[version]:
                    if column not in {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}:
                        db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
                version += 1
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        try:
            db = sqlite3.connect(self.path, timeout=10, isolation_level=None)
        except sqlite3.Error as error:
            raise LibraryError(f"the library {self.path.parent} cannot be opened ({error})") from error
        db.row_factory = sqlite3.Row
        try:
            db.execute("PRAGMA synchronous = FULL")
            yield db
        except sqlite3.DatabaseError as error:
            # Only a file that is no database raises the bare class; its subclasses are told apart below.
            if type(error) is sqlite3.DatabaseError:
                remedy = "`melbo-tui vectors rebuild` makes it anew from the files"
                raise LibraryError(f"the index {self.path} is damaged ({error}); {remedy}") from error
            raise LibraryError(f"the library {self.path.parent} cannot be used ({error})") from error
        except sqlite3.Error as error:
            raise LibraryError(f"the library {self.path.parent} cannot be used ({error})") from error
        except UnicodeEncodeError as error:
            raise LibraryError(f"{one_line(error.object, 60)!r} has bytes that are no text, and cannot be kept") from error
        finally:
            db.close()

    @contextmanager
    def changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is kept, or, on any exception, none."""
        with self.reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
            except BaseException:
                db.execute("ROLLBACK")
                raise
            db.execute("COMMIT")

    def _back_up(self) -> None:
        copy = self.path.with_name(f"{self.path.name}.v{self.found}.bak")
        if copy.exists():
            return
        with self.reading() as db, closing(sqlite3.connect(copy)) as other:
            db.backup(other)
