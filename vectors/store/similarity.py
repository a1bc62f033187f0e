"""How much vectors point the same way: one against all, a matrix, near-duplicates. Files are read one at a time.

Cosines are those of `SteeringVector.cosine`: of vectors over many blocks they are taken block by block, what one has not being
zero.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vectors.formats import safetensors_file
from vectors.mixture import flattened
from vectors.store.index import LibraryError
from vectors.store.kept import own_blocks
from vectors.store.library import Library
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

NEAR = 0.95


def cosines(library: Library, to: SteeringVector) -> list[tuple[str, float]]:
    """(id, cosine) of every vector of the same width and model that acts at one of its blocks, greatest first; not itself."""
    found: list[tuple[str, float]] = []
    unit = {block: row / max(to.norm, 1e-30) for block, row in zip(to.blocks, to.directions.astype(np.float64), strict=True)}
    for part in _by_file(library, to):
        ids, blocks, rows = part.ids, part.blocks, part.rows
        products = sum(rows[:, blocks.index(block)] @ unit[block] for block in to.blocks if block in blocks)
        found += zip(ids, (products / np.maximum(np.linalg.norm(rows, axis=(1, 2)), 1e-30)).tolist(), strict=True)
    return sorted((pair for pair in found if pair[0] != to.id), key=lambda pair: -pair[1])


def matrix(vectors: Sequence[SteeringVector]) -> npt.NDArray[np.float64]:
    """Cosines of all pairs [n, n]. Raises VectorError for different widths."""
    if len({vector.d_model for vector in vectors}) > 1:
        raise VectorError("the vectors have different widths and cannot be compared")
    rows = _unit(flattened(vectors)[1])
    product: npt.NDArray[np.float64] = rows @ rows.T
    single = [i for i, vector in enumerate(vectors) if len(vector.blocks) == 1]
    if single:
        rows = _unit(np.stack([vectors[i].direction for i in single]).astype(np.float64))
        product[np.ix_(single, single)] = rows @ rows.T
    return product


def duplicates(library: Library, like: SteeringVector, least: float = NEAR) -> list[tuple[str, str, float]]:
    """(id, id, cosine) of the pairs that point the same way, or opposite ways, among all that fit to `like`.

    Those are of its width and model, and have the same blocks.
    """
    parts = [part for part in _by_file(library, like) if part.blocks == like.blocks]
    ids = [id for part in parts for id in part.ids]
    if not parts:
        return []
    rows = np.concatenate([_unit(part.rows.reshape(len(part.ids), -1)).astype(np.float32) for part in parts])
    found: list[tuple[str, str, float]] = []
    for first in range(0, len(rows), 512):  # a strip of the matrix at a time: all of it may not fit into memory
        strip = rows[first : first + 512] @ rows.T
        for i, j in zip(*np.nonzero(np.abs(strip) >= least), strict=True):
            if j > first + i:
                found.append((ids[first + i], ids[j], float(strip[i, j])))
    return sorted(found, key=lambda pair: -abs(pair[2]))


@dataclass(frozen=True)
class _Part:
    """Vectors of one file that have the same blocks: their directions `rows` [n, blocks, d_model] float64."""

    ids: list[str]
    blocks: tuple[int, ...]
    rows: npt.NDArray[np.float64]


def _by_file(library: Library, like: SteeringVector) -> Iterator[_Part]:
    """The vectors of `like`'s width and model that act at one of its blocks."""
    prints = like.origin.model.fingerprint
    files: dict[str, dict[tuple[int, ...], list[tuple[str, int]]]] = defaultdict(lambda: defaultdict(list))
    with library.index.reading() as db:
        query = "SELECT id, file, row, fingerprint, block, blocks FROM vectors WHERE deleted IS NULL AND d_model = ?"
        for row in db.execute(f"{query} AND block <= ?", (like.d_model, like.blocks[-1])):
            if prints and row["fingerprint"] and row["fingerprint"] != prints:
                continue
            try:
                blocks = own_blocks(row)
            except VectorError:  # it is told of elsewhere, as a damaged file is
                continue
            if not set(like.blocks).isdisjoint(blocks):
                files[row["file"]][blocks].append((row["id"], row["row"]))
    for file, groups in files.items():
        try:
            numbers = None if file.endswith(".json") else safetensors_file.read_tensor(library.path_of(file), "vectors")
            for blocks, members in groups.items():
                ids = [id for id, _ in members]
                if numbers is None:
                    rows = np.stack([library.load(id).directions for id in ids])
                else:
                    firsts = np.array([first for _, first in members])
                    rows = numbers[firsts[:, None] + np.arange(len(blocks))]
                if rows.shape[1:] == (len(blocks), like.d_model):  # and not another than the index says
                    yield _Part(ids, blocks, rows.astype(np.float64))
        except (IndexError, LibraryError, VectorError):
            continue  # a damaged file is told of elsewhere and does not keep the others from being compared


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: npt.NDArray[np.float64] = rows / np.maximum(norms, 1e-30)
    return unit
