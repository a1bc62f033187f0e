"""The tables of the library's index, and how an index of an earlier version gets them."""

from __future__ import annotations

import sqlite3

from vectors.block_ranges import blocks_of
from vectors.errors import VectorError

VERSION = 6
JOURNALLED = 2  # the first version beside which there is a journal
POSITIONED = 4  # the first version that writes down how far it has taken in the journal, and how each file was

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
    tags TEXT NOT NULL DEFAULT '',
    blocks TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS files (name TEXT PRIMARY KEY, problem TEXT, stamp TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS samples (
    vector TEXT NOT NULL, prompt TEXT NOT NULL, coefficient REAL NOT NULL, text TEXT NOT NULL, created REAL NOT NULL,
    kl REAL, perplexity REAL, thought TEXT NOT NULL DEFAULT '',
    tokens INTEGER NOT NULL DEFAULT 0, thought_tokens INTEGER NOT NULL DEFAULT 0, stop TEXT NOT NULL DEFAULT 'untold',
    label_refusal TEXT, label_coherent TEXT, label_relevant TEXT,
    PRIMARY KEY (vector, prompt, coefficient)
);
CREATE TABLE IF NOT EXISTS gone (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS taken (one INTEGER PRIMARY KEY CHECK (one = 1), bytes INTEGER, crc INTEGER, stamp TEXT);
CREATE INDEX IF NOT EXISTS by_name ON vectors (name);
CREATE INDEX IF NOT EXISTS by_file ON vectors (file);
"""
# The columns that each version's index lacks of the next one's.
_ADDED = {
    1: (("vectors", "tags", "TEXT NOT NULL DEFAULT ''"), ("samples", "kl", "REAL")),
    2: (("samples", "perplexity", "REAL"), ("samples", "thought", "TEXT NOT NULL DEFAULT ''")),
    3: (("files", "stamp", "TEXT NOT NULL DEFAULT ''"),),
    4: (
        ("samples", "tokens", "INTEGER NOT NULL DEFAULT 0"),
        ("samples", "thought_tokens", "INTEGER NOT NULL DEFAULT 0"),
        ("samples", "stop", "TEXT NOT NULL DEFAULT 'untold'"),
        ("vectors", "blocks", "TEXT NOT NULL DEFAULT ''"),  # `5-17`; nothing where `block` is the only one
    ),
    5: tuple(("samples", column, "TEXT") for column in ("label_refusal", "label_coherent", "label_relevant")),
}


def names_blocks(blocks: str, first: int) -> bool:
    """Whether the column `blocks` can be read, and begins with the column `block`; SQL calls it (vectors/store/indexed.py)."""
    try:
        return blocks_of(blocks)[0] == first
    except VectorError:
        return False


def version_of(db: sqlite3.Connection) -> int:
    """The version of the index, 0 where it has no tables yet."""
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def bring_over(db: sqlite3.Connection) -> int:
    """Gives the index the tables of this version, and tells which version it was of. To be called in a transaction."""
    found = version = version_of(db)
    while 0 < version < VERSION:
        for table, column, kind in _ADDED[version]:
            if column not in {row["name"] for row in db.execute(f"PRAGMA table_info({table})")}:
                db.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
        version += 1
    for statement in _SCHEMA.split(";"):
        db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    return found
