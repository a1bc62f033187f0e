"""What rows of the index can be read: another version, or a hand, may have written anything into it."""

from __future__ import annotations

import sqlite3
from typing import get_args

from vectors.files.bounded import MAX_BLOCKS, MAX_WIDTH, Between, Moment, Norm
from vectors.plain_text import one_line
from vectors.store.journal_lines import MAX_RATING

_REMEDY = "`melbo-tui vectors rebuild` reads it again"


def _texts(*columns: str) -> str:
    return " AND ".join(f"typeof({column}) = 'text'" for column in columns)


def _whole(column: str, most: int) -> str:
    return f"typeof({column}) = 'integer' AND {column} BETWEEN 0 AND {most}"


def _number(column: str, hint: object) -> str:
    bounds = get_args(hint)[1]
    assert isinstance(bounds, Between)
    return f"typeof({column}) IN ('real', 'integer') AND {column} BETWEEN {bounds.low!r} AND {bounds.high!r}"


# SQL's terms for a row of `vectors` that can be read.
VECTOR = " AND ".join(
    (
        _texts("id", "file", "name", "model", "fingerprint", "method", "prompt", "origin", "note", "tags", "blocks"),
        "instr(file, '/') = 0 AND instr(file, char(0)) = 0",  # a file's name, in a folder that we know
        _whole("row", 1 << 31),
        _whole("block", MAX_BLOCKS - 1),
        "(blocks = '' OR names_blocks(blocks, block))",
        _whole("d_model", MAX_WIDTH),
        _number("norm", Norm),
        _number("created", Moment),
        f"(rating IS NULL OR ({_whole('rating', MAX_RATING)}))",
    )
)


def unreadable(db: sqlite3.Connection) -> list[str]:
    """A line for each file of whose vectors the index says what cannot be."""
    rows = db.execute(f"SELECT file, count(*) AS n FROM vectors WHERE NOT ({VECTOR}) GROUP BY file ORDER BY file")
    return [
        f"{one_line(str(row['file']), 80)}: the index has impossible numbers for {row['n']} of its vectors; {_REMEDY}"
        for row in rows
    ]
