"""The library's SQLite index: what people add to vectors, and what is needed to list them without opening their files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = 1

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
    deleted REAL
);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, problem TEXT);
CREATE TABLE IF NOT EXISTS samples (
    vector TEXT NOT NULL, prompt TEXT NOT NULL, coefficient REAL NOT NULL, text TEXT NOT NULL, created REAL NOT NULL,
    PRIMARY KEY (vector, prompt, coefficient)
);
CREATE INDEX IF NOT EXISTS by_name ON vectors (name);
"""


class LibraryError(Exception):
    """The library cannot do what was asked; the message says why and what to do."""


class Index:
    """Short-lived connections to one SQLite file, so that any thread and any other process may use it at any time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with self.changing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > VERSION:
                raise LibraryError(f"{path}: written by a newer melbo-tui (index {version}); update to open this library")
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
        except sqlite3.Error as error:
            raise LibraryError(f"the library {self.path.parent} cannot be used ({error})") from error
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
