"""Our own format: one safetensors file for the vectors of a run, whose header describes them fully.

Tensors: `vectors` [n, d_model] float32 and, where they were trained, `losses` [n, steps]. The metadata key `melbo-tui`
holds JSON: {"version": 1, "vectors": [{"id", "name", "block", "origin"}, ...]}, a row each; exported files have an "about"
beside these, what people said of the vector. A vector over many blocks has "blocks" as well, a row for each, and its losses in
the first of its rows; a file that has one is of version 2, which earlier programs refuse in a line. Files without that key are
read too, if the caller says where they act.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from safetensors import SafetensorError, safe_open

from vectors.block_ranges import BlockList, check_rising
from vectors.errors import NewerFormat
from vectors.files.bounded import AtMost, Block, Id, Norm, Settings, Text, decoded
from vectors.files.regular_files import open_regular
from vectors.files.strict_json import dumps, loads
from vectors.formats import Format
from vectors.formats.raw import MAX_VECTORS, MissingBlock, Reading, check_shape, rows_as_vectors, write_out
from vectors.plain_text import clean_name, one_line
from vectors.vector import Origin, SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

KEY = "melbo-tui"
VERSION = 2
_SINGLE = 1  # the version of files whose vectors have a single block each
# A library of 10,000 vectors from one run stays below it.
MAX_HEADER = 32 << 20
MAX_TENSORS = 1000


def _name(text: str) -> str:
    return clean_name(text or "vector")


@dataclass(frozen=True)
class Entry:
    """A vector of a file as its header describes it, without its numbers: a row for each of its `blocks`."""

    id: Id
    name: Annotated[str, Text(clean=_name)]
    block: Block
    origin: Origin
    norm: Norm = 0.0
    about: Settings = field(default_factory=dict)
    blocks: BlockList = ()

    def __post_init__(self) -> None:
        check_rising(self.blocks, self.block)
        object.__setattr__(self, "blocks", self.blocks or (self.block,))


@dataclass(frozen=True)
class _Version:
    version: int


@dataclass(frozen=True)
class _Header:
    vectors: Annotated[tuple[Entry, ...], AtMost(MAX_VECTORS)]


def encode(
    vectors: Sequence[SteeringVector],
    losses: npt.NDArray[np.float32] | None = None,
    about: Sequence[Mapping[str, Any]] | None = None,
) -> bytes:
    """The bytes of a file that holds `vectors` and, beside them, `losses` [n, steps]; `about` is JSON for each vector."""
    if not vectors:
        raise VectorError("nothing to write: no vectors were given")
    if len({v.d_model for v in vectors}) > 1:
        raise VectorError("the vectors have different widths, and one file holds one width: export them apart")
    firsts = first_rows([v.blocks for v in vectors])
    tensors = {"vectors": np.concatenate([v.directions for v in vectors])}
    if losses is not None:
        tensors["losses"] = np.full((len(tensors["vectors"]), losses.shape[1]), np.nan, dtype=np.float32)
        tensors["losses"][firsts] = losses
    said = about or [{}] * len(vectors)
    rows = [
        {"id": v.id, "name": v.name, "block": v.block, "norm": v.norm, "origin": v.origin.to_json()}
        | ({"about": dict(one)} if one else {})
        | ({"blocks": list(v.blocks)} if len(v.blocks) > 1 else {})
        for v, one in zip(vectors, said, strict=True)
    ]
    from safetensors.numpy import save  # which imports numpy

    version = VERSION if any(len(v.blocks) > 1 for v in vectors) else _SINGLE
    data = save(tensors, metadata={KEY: dumps({"version": version, "vectors": rows})})
    if struct.unpack_from("<Q", data)[0] > MAX_HEADER:
        raise VectorError(f"the metadata of {len(vectors)} vectors is too large for one file: write several")
    return data


def write(
    path: Path,
    vectors: Sequence[SteeringVector],
    losses: npt.NDArray[np.float32] | None = None,
    about: Sequence[Mapping[str, Any]] | None = None,
    replace: bool = True,
) -> None:
    """Writes `vectors` to `path`, atomically. Raises VectorError when that is not possible."""
    write_out(path, encode(vectors, losses, about), replace)


def read(path: Path, how: Reading | None = None) -> list[SteeringVector]:
    """All vectors of a file that describes itself, or those of one that `how` describes."""
    if how is not None and how.block is not None:
        name = how.tensor or _only_tensor(path)
        if name == "vectors" and any(len(entry.blocks) > 1 for entry in _described(path)):
            raise VectorError(f"{path.name}: names its vectors' blocks itself: leave --block out")
        return rows_as_vectors(path, read_tensor(path, name), how, {"tensor": name})
    entries = read_header(path)
    numbers = read_tensor(path, "vectors")
    _check_rows(path, entries, numbers.shape)
    firsts = first_rows([entry.blocks for entry in entries])
    return [
        SteeringVector(numbers[first : first + len(e.blocks)], e.blocks, e.origin, e.name, e.id)
        for e, first in zip(entries, firsts, strict=True)
    ]


def first_rows(blocks: Sequence[Sequence[int]]) -> list[int]:
    """The first row of each vector in the file, in whose order their `blocks` are given."""
    return [0, *accumulate(map(len, blocks))][:-1]


def _described(path: Path) -> Sequence[Entry]:
    """As `read_header`; none where the file describes nothing."""
    try:
        return read_header(path)
    except MissingBlock:
        return ()


def _check_rows(path: Path, entries: Sequence[Entry], shape: Sequence[int]) -> None:
    rows = sum(len(entry.blocks) for entry in entries)
    if len(shape) != 2 or shape[0] != rows:
        what = f"{len(entries)} vectors" + (f" of {rows} rows" if rows > len(entries) else "")
        raise VectorError(f"{path.name}: the header describes {what}, the data has shape {list(shape)}")


def read_header(path: Path) -> Sequence[Entry]:
    """What `path` says of its vectors, one by one; no tensor is read."""
    with _opened(path) as file:
        text = (file.metadata() or {}).get(KEY)
        shape = list(file.get_slice("vectors").get_shape()) if "vectors" in _names(file) else []
    if text is None:
        raise MissingBlock(f"{path.name}: no {KEY} header, so nothing in it says on which block its vectors act")
    try:
        header = loads(text)
        if (version := decoded(_Version, header).version) > VERSION:
            raise NewerFormat(f"{path.name}: written by a newer melbo-tui (format {version}); update to read it")
        entries = decoded(_Header, header).vectors
    except NewerFormat:
        raise
    except ValueError as error:
        raise VectorError(f"{path.name}: the {KEY} header is damaged ({one_line(str(error), 160)})") from error
    _check_rows(path, entries, shape)
    return entries


def read_rows(path: Path, first: int, count: int = 1) -> npt.NDArray[np.float32]:
    """The directions [count, d_model] of one vector of the file, whose first row is given, read without the others."""
    with _opened(path) as file:
        return np.asarray(_rows(path, file, "vectors", first, count), dtype=np.float32)


def read_loss(path: Path, row: int) -> list[float]:
    """The losses of the vector whose first row is given, step by step; empty where the file keeps none."""
    with _opened(path) as file:
        if "losses" not in _names(file):
            return []
        values = _rows(path, file, "losses", row)[0]
    return [float(value) for value in values if np.isfinite(value)]


def read_losses(path: Path) -> npt.NDArray[np.float32] | None:
    """The losses [n, steps] of all rows; None where the file keeps none, as imported vectors have."""
    with _opened(path) as file:
        return np.asarray(_slice(path, file, "losses")[:], dtype=np.float32) if "losses" in _names(file) else None


def read_tensor(path: Path, name: str) -> npt.NDArray[np.float32]:
    """Tensor `name` of the file as float32, at most two-dimensional."""
    with _opened(path) as file:
        if name not in _names(file):
            names = ", ".join(one_line(key, 40) for key in _names(file)[:8]) or "none"
            raise VectorError(f"{path.name}: no tensor {one_line(name, 40)!r} in it (it has: {names})")
        return np.asarray(_slice(path, file, name)[:], dtype=np.float32)


def _only_tensor(path: Path) -> str:
    with _opened(path) as file:
        names = _names(file)
    if len(names) > 1 and "vectors" not in names:
        raise VectorError(f"{path.name}: holds several tensors ({', '.join(one_line(n, 40) for n in names[:8])}): name one")
    return "vectors" if "vectors" in names or not names else names[0]


def _names(file: Any) -> list[str]:
    return sorted(str(key) for key in file.keys())  # noqa: SIM118  the file is no mapping


def _slice(path: Path, file: Any, name: str) -> Any:
    """A tensor of numbers we can read, of a shape that vectors have; nothing of it is in memory yet."""
    part = file.get_slice(name)
    shape, dtype = part.get_shape(), part.get_dtype()
    check_shape(path, shape)
    if dtype == "BF16":
        return _bfloat16(path, name, shape)
    if dtype not in ("F32", "F16", "F64"):
        raise VectorError(f"{path.name}: {dtype} numbers cannot be read; store the vectors as float32")
    return part


def _rows(path: Path, file: Any, name: str, first: int, count: int = 1) -> Any:
    """So many rows of a tensor [n, m]."""
    part = _slice(path, file, name)
    shape = part.shape if isinstance(part, np.ndarray) else part.get_shape()
    if len(shape) != 2 or first + count > shape[0]:
        raise VectorError(f"{path.name}: has no row {first + count - 1} in {one_line(name, 40)} (shape {list(shape)})")
    return part[first : first + count]


def _bfloat16(path: Path, name: str, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """A tensor of bfloat16, which numpy lacks: the upper halves of float32 numbers. The file was checked on opening."""
    with open_regular(path) as raw:
        length = struct.unpack("<Q", raw.read(8))[0]
        start, end = loads(raw.read(length))[name]["data_offsets"]
        raw.seek(8 + length + start)
        halves = np.frombuffer(raw.read(end - start), dtype="<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(shape)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file, opened after its claims were held against its size and our bounds."""
    try:
        with open_regular(path) as raw:
            size = os.fstat(raw.fileno()).st_size
            start = raw.read(8)
            if len(start) < 8:
                raise VectorError(f"{path.name}: empty or cut short, not a safetensors file")
            length = struct.unpack("<Q", start)[0]
            # Counted before anything parses it: millions of tensors would take minutes and gigabytes.
            tensors = raw.read(length).count(b'"data_offsets"') if length <= min(MAX_HEADER, size) else 0
        if tensors > MAX_TENSORS:
            raise VectorError(f"{path.name}: {tensors} tensors are too many for a file of steering vectors")
        if length > min(MAX_HEADER, size):
            raise VectorError(f"{path.name}: not a safetensors file, or a damaged one (its header cannot be that long)")
        with safe_open(path, framework="numpy") as file:
            yield file
    except FileNotFoundError as error:
        raise VectorError(f"{path}: there is no such file") from error
    except OSError as error:
        raise VectorError(f"{path}: cannot be read ({error.strerror or error})") from error
    except SafetensorError as error:
        raise VectorError(f"{path.name}: not a safetensors file, or a damaged one ({one_line(str(error), 80)})") from error


FORMAT = Format("safetensors", (".safetensors",), read, write)
