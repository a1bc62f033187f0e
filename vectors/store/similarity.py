"""How much vectors point the same way: one against all, a matrix, near-duplicates. Files are read one at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from vectors.formats import safetensors_file
from vectors.store.index import LibraryError
from vectors.store.library import Library
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

NEAR = 0.95


def cosines(library: Library, to: SteeringVector) -> list[tuple[str, float]]:
    """(id, cosine) of every vector of the same width and model that acts on the same block, greatest first; not itself."""
    direction = _unit(to.direction[None].astype(np.float64))[0]
    found: list[tuple[str, float]] = []
    for ids, rows in _by_file(library, to):
        found += zip(ids, (_unit(rows) @ direction).tolist(), strict=True)
    return sorted((pair for pair in found if pair[0] != to.id), key=lambda pair: -pair[1])


def matrix(vectors: Sequence[SteeringVector]) -> npt.NDArray[np.float64]:
    """Cosines of all pairs [n, n]. Raises VectorError for different widths."""
    if len({vector.d_model for vector in vectors}) > 1:
        raise VectorError("the vectors have different widths and cannot be compared")
    rows = _unit(np.stack([vector.direction for vector in vectors]).astype(np.float64))
    product: npt.NDArray[np.float64] = rows @ rows.T
    return product


def duplicates(library: Library, like: SteeringVector, least: float = NEAR) -> list[tuple[str, str, float]]:
    """(id, id, cosine) of the pairs that point the same way, or opposite ways, among all that fit to `like`."""
    parts = list(_by_file(library, like))
    ids = [id for part, _ in parts for id in part]
    rows = np.concatenate([_unit(rows).astype(np.float32) for _, rows in parts])
    found: list[tuple[str, str, float]] = []
    for first in range(0, len(rows), 512):  # a strip of the matrix at a time: all of it may not fit into memory
        strip = rows[first : first + 512] @ rows.T
        for i, j in zip(*np.nonzero(np.abs(strip) >= least), strict=True):
            if j > first + i:
                found.append((ids[first + i], ids[j], float(strip[i, j])))
    return sorted(found, key=lambda pair: -abs(pair[2]))


def _by_file(library: Library, like: SteeringVector) -> Iterator[tuple[list[str], npt.NDArray[np.float64]]]:
    """Ids and directions [n, d_model], file by file, of the vectors that can be compared with `like`."""
    prints = like.origin.model.fingerprint
    files: dict[str, list[tuple[str, int]]] = defaultdict(list)
    with library.index.reading() as db:
        query = "SELECT id, file, row, fingerprint FROM vectors WHERE deleted IS NULL AND d_model = ? AND block = ?"
        for row in db.execute(query, (like.d_model, like.block)):
            if not prints or not row["fingerprint"] or row["fingerprint"] == prints:
                files[row["file"]].append((row["id"], row["row"]))
    for file, members in files.items():
        ids = [id for id, _ in members]
        try:
            if file.endswith(".json"):
                yield ids, np.stack([library.load(id).direction for id in ids]).astype(np.float64)
            else:
                rows = safetensors_file.read_tensor(library.path_of(file), "vectors")
                yield ids, rows[[row for _, row in members]].astype(np.float64)
        except (IndexError, LibraryError, VectorError):
            continue  # a damaged file is told of elsewhere and does not keep the others from being compared


def _unit(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    unit: npt.NDArray[np.float64] = rows / np.maximum(norms, 1e-30)
    return unit
