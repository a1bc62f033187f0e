"""A vector as the library lists it."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from functools import lru_cache

from vectors.block_ranges import blocks_of, places
from vectors.files.bounded import LABEL
from vectors.files.strict_json import loads
from vectors.moment import moment
from vectors.plain_text import one_line
from vectors.vector import ModelStamp, Origin, VectorError

_PROMPT, _MODEL = 32, 48  # characters that tell vectors apart


@dataclass(frozen=True, slots=True)
class Kept:
    """A vector as the library lists it: everything but its numbers.

    `block` is the first of its `blocks`; `run` names the file it came in.
    """

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
    blocks: tuple[int, ...]

    @property
    def told(self) -> str:
        """What tells it from others of its name, in a line: id, model, block, method, prompt, when it was made."""
        from vectors.expression.words import written_name  # which the first frame does without

        prompt = f"on {one_line(self.prompt, _PROMPT)!r}" if self.prompt else "on no prompt"
        of = f"{one_line(self.model, _MODEL)}, {places(self.blocks)}, {one_line(self.method, _PROMPT)} {prompt}"
        return f"{one_line(written_name(self.id))} ({of}, {moment(self.created)})"

    @property
    def origin(self) -> Origin:
        """Where it came from; as much as the list tells of it, where the index holds nothing that can be read."""
        try:
            return origin_of(self.origin_json)
        except VectorError:
            model = ModelStamp(one_line(self.model, LABEL), self.d_model, 0)
            return Origin(one_line(self.method, LABEL), model, self.block, created=self.created)

    @classmethod
    def of_row(cls, row: sqlite3.Row) -> Kept:
        """From a row of the index's table `vectors`."""
        return cls(
            id=row["id"], name=row["name"], kept=bool(row["kept"]), model=row["model"], fingerprint=row["fingerprint"],
            d_model=row["d_model"], block=row["block"], method=row["method"], norm=row["norm"], prompt=row["prompt"],
            created=row["created"], note=row["note"], rating=row["rating"], tags=tuple(row["tags"].split()),
            deleted=row["deleted"] is not None, run=row["file"].rpartition(".")[0], origin_json=row["origin"],
            blocks=own_blocks(row),
        )  # fmt: skip


def own_blocks(row: sqlite3.Row) -> tuple[int, ...]:
    """The blocks of a row of the index's table `vectors`, rising. Raises VectorError where it has none that can be read."""
    return blocks_of(row["blocks"]) if row["blocks"] else (row["block"],)


@lru_cache(maxsize=512)
def origin_of(text: str) -> Origin:
    """Reads the index's column `origin`. Raises VectorError where that cannot be read."""
    try:
        return Origin.from_json(loads(text))
    except ValueError as error:
        raise VectorError(f"the index does not record the vector's origin ({one_line(str(error), 80)})") from error
