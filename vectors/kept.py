"""A vector as the library lists it."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from functools import lru_cache

from vectors.vector import Origin


@dataclass(frozen=True, slots=True)
class Kept:
    """A vector as the library lists it: everything but its numbers. `run` names the file it came in."""

    id: str
    name: str
    kept: bool
    model: str
    fingerprint: str
    d_model: int
    block: int
    method: str
    norm: float
    prompt: str
    created: float
    note: str
    rating: int | None
    tags: tuple[str, ...]
    deleted: bool
    run: str
    origin_json: str

    @property
    def origin(self) -> Origin:
        return origin_of(self.origin_json)

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Kept:
        """From a row of the index's table `vectors`."""
        return cls(
            id=row["id"], name=row["name"], kept=bool(row["kept"]), model=row["model"], fingerprint=row["fingerprint"],
            d_model=row["d_model"], block=row["block"], method=row["method"], norm=row["norm"], prompt=row["prompt"],
            created=row["created"], note=row["note"], rating=row["rating"], tags=tuple(row["tags"].split()),
            deleted=row["deleted"] is not None, run=row["file"].rpartition(".")[0], origin_json=row["origin"],
        )  # fmt: skip


@lru_cache(maxsize=512)
def origin_of(text: str) -> Origin:
    """Reads the index's column `origin`."""
    return Origin.from_json(json.loads(text))
