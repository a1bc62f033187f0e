"""NumPy's .npy: one array [n, d_model] or [d_model]. Nothing in it says where its vectors act."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from vectors.formats import Format
from vectors.formats.raw import Reading, check_shape, checked_size, only_directions, rows_as_vectors, write_out
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
else:
    from vectors import deferred_numpy as np


def read(path: Path, how: Reading) -> list[SteeringVector]:
    checked_size(path)  # which also says that it is a regular file
    try:
        # Mapped, so that a header's claims cost no memory; arrays of objects, which are pickles, cannot be mapped.
        rows = np.load(path, allow_pickle=False, mmap_mode="r")
    except Exception as error:  # numpy parses the header as Python, and raises whatever that raises
        raise VectorError(f"{path.name}: not a .npy file of numbers, or a damaged one ({one_line(str(error), 80)})") from error
    if not isinstance(rows, np.ndarray) or rows.dtype.kind != "f":
        raise VectorError(f"{path.name}: holds no floating-point numbers")
    check_shape(path, rows.shape)
    return rows_as_vectors(path, np.asarray(rows), how, {})


def write(path: Path, vectors: Sequence[SteeringVector], replace: bool = True) -> None:
    if len({v.d_model for v in vectors}) > 1:
        raise VectorError("the vectors have different widths, and one array holds one width: export them apart")
    data = io.BytesIO()
    np.save(data, only_directions(vectors), allow_pickle=False)
    write_out(path, data.getvalue(), replace)


FORMAT = Format("NumPy array", (".npy",), read, write)
