"""What formats share that hold bare numbers: bounds, and rows made vectors by what the user says of them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vectors.block_ranges import places
from vectors.errors import FileTaken
from vectors.files import disk
from vectors.files.atomic import write_atomically, write_new
from vectors.files.bounded import LABEL, MAX_BLOCKS, MAX_WIDTH
from vectors.files.regular_files import check_regular
from vectors.plain_text import clean_name, one_line
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError, called

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

# Bounds on what a stranger's file may claim; a library of 10,000 vectors of d 16,384 stays below them.
MAX_VECTORS = 100_000
MAX_NUMBERS = 1 << 28
MAX_FILE = 2 << 30


class MissingBlock(VectorError):
    """A file of bare numbers that says nothing of the block where they act: its user has to."""


@dataclass(frozen=True)
class Reading:
    """What the user says of a file that does not say it itself.

    `block` is the block whose OUTPUT the vectors act on, `model` their model's stamp, its `n_blocks` 0 where nobody knows more
    of it than its name. `tensor` picks one of several.
    `columns`: each column is a vector (DCT's V). `base_row`: the first row is the base of the others (melbo-ortho).
    """

    block: int | None = None
    model: ModelStamp | None = None
    tensor: str | None = None
    columns: bool = False
    base_row: bool = False

    def __post_init__(self) -> None:
        if self.block is not None and not 0 <= self.block < MAX_BLOCKS:
            raise VectorError(f"block {self.block} does not exist: decoder blocks count from 0")


def check_shape(path: Path, shape: Sequence[int]) -> None:
    """Raises VectorError for a shape that steering vectors cannot have; looks at nothing else."""
    fits = 1 <= len(shape) <= 2 and all(size > 0 for size in shape)
    if not fits or max(shape) > MAX_VECTORS or math.prod(shape) > MAX_NUMBERS:
        raise VectorError(f"{path.name}: an array of shape {one_line(str(tuple(shape)), 60)} holds no steering vectors")


def rows_as_vectors(
    path: Path, rows: npt.NDArray[np.floating], how: Reading, settings: dict[str, object]
) -> list[SteeringVector]:
    """A vector from each row [n, d_model] (or column), named after the file. Raises VectorError."""
    check_shape(path, rows.shape)
    rows = rows[None] if rows.ndim == 1 else rows
    rows = rows.T if how.columns else rows
    if rows.shape[1] > MAX_WIDTH:
        raise VectorError(f"{path.name}: no model is {rows.shape[1]} wide")
    if how.block is None:
        raise MissingBlock(f"{path.name}: nothing in it says on which block its vectors act")
    stem = clean_name(path.stem or "vector")
    names = [f"{stem}-{i + 1:02d}" for i in range(len(rows))] if len(rows) > 1 else [stem]
    if how.base_row and len(rows) > 1:
        names = [f"{stem}-base", *names[:-1]]
    return [made(row, how.block, "", name, path, settings) for row, name in zip(rows, names, strict=True)]


def made(
    direction: npt.NDArray[np.floating], block: int, model: str, name: str, path: Path, settings: dict[str, object]
) -> SteeringVector:
    """An imported vector of one block; its origin says from which file, and `model` what that calls its model, if it does."""
    return _over_blocks({block: direction}, model, name, path, settings)


def made_of_blocks(
    directions: Mapping[int, npt.NDArray[np.floating]], how: Reading, model: str, path: Path, settings: dict[str, object]
) -> SteeringVector:
    """The one vector of a file that has a direction for each of some blocks. Raises VectorError."""
    if how.block is not None:
        if len(directions) > 1:
            raise VectorError(f"{path.name}: names {len(directions)} blocks itself: leave --block out")
        (row,) = directions.values()
        directions = {how.block: row}
    name = path.stem if len(directions) > 1 else f"{path.stem}-b{min(directions):02d}"
    return _over_blocks(directions, model, name, path, settings)


def _over_blocks(
    directions: Mapping[int, npt.NDArray[np.floating]], model: str, name: str, path: Path, settings: dict[str, object]
) -> SteeringVector:
    for block in directions:
        if not 0 <= block < MAX_BLOCKS:
            raise VectorError(f"{path.name}: block {block} does not exist: decoder blocks count from 0")
    if len({row.size for row in directions.values()}) > 1:
        raise VectorError(f"{path.name}: its directions have different widths, and no model has two")
    first = min(directions)
    stamp = ModelStamp(one_line(model, LABEL), int(directions[first].size), 0)
    origin = Origin("import", stamp, first, settings={"file": one_line(path.name, LABEL), **settings}, created=time.time())
    return SteeringVector.over_blocks(directions, origin, clean_name(name or "vector"))


def only_directions(vectors: Sequence[SteeringVector]) -> npt.NDArray[np.float32]:
    """The directions [n, d_model], for a file that says nowhere where they act. Raises VectorError for one of many blocks."""
    for vector in vectors:
        if len(vector.blocks) > 1:
            raise VectorError(
                f"{called(vector)} acts at {places(vector.blocks)}, and such a file names no blocks: "
                "export it as .safetensors or .gguf"
            )
    return np.stack([vector.direction for vector in vectors])


def checked_size(path: Path, most: int = MAX_FILE) -> int:
    """The file's size in bytes. Raises VectorError where there is no file, or it is too large to be meant."""
    try:
        size = check_regular(path)
    except FileNotFoundError as error:
        raise VectorError(f"{path}: there is no such file") from error
    except OSError as error:
        raise VectorError(f"{path}: cannot be read ({error.strerror or error})") from error
    if size > most:
        raise VectorError(f"{path.name}: too large to be a file of steering vectors ({size >> 20} MiB)")
    return size


def write_out(path: Path, data: bytes, replace: bool = True) -> None:
    """Writes a file that a user asked for, atomically. Raises VectorError where that is not possible.

    Without `replace`, only where nothing has that name; FileTaken where something has.
    """
    try:
        (write_atomically if replace else write_new)(path, data)
    except FileExistsError as error:
        raise FileTaken(f"{path}: there is such a file already") from error
    except OSError as error:
        raise VectorError(disk.refused(f"{path}: cannot be written", path.parent, error)) from error
