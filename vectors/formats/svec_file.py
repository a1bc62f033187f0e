"""IBM CAST's .svec: JSON {model_type, directions: {layer: numbers}}, a direction for each of many layers: one vector.

Its layer k is the INPUT of block k (the list of hidden states starts with the embeddings): the output of block k - 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from vectors.block_ranges import ranges
from vectors.files.bounded import MAX_BLOCKS, MAX_WIDTH, AtMost, Between, Label, decoded
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import loads
from vectors.formats import Format
from vectors.formats.raw import Reading, made_of_blocks
from vectors.plain_text import natural, one_line
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

_MOST = 16 << 20  # Python numbers are eight times as large as their text
_GREATEST = 3.4028234663852886e38  # of float32


@dataclass(frozen=True)
class _Svec:
    directions: Mapping[str, Annotated[tuple[float, ...], AtMost(MAX_WIDTH), Between(-_GREATEST, _GREATEST)]]
    model_type: Label = ""


def read(path: Path, how: Reading) -> list[SteeringVector]:
    try:
        svec = decoded(_Svec, loads(read_regular(path, _MOST)))
    except FileNotFoundError as error:
        raise VectorError(f"{path}: there is no such file") from error
    except (OSError, ValueError) as error:
        raise VectorError(f"{path.name}: not a .svec file, or a damaged one ({one_line(str(error), 80)})") from error
    rows: dict[int, npt.NDArray[np.float32]] = {}
    for name, numbers in svec.directions.items():
        number = natural(name)
        if number is None or number >= MAX_BLOCKS:
            raise VectorError(f"{path.name}: its directions are of layers that no model has")
        if number in rows:
            raise VectorError(f"{path.name}: has several directions for layer {number}")
        rows[number] = np.array(numbers, dtype=np.float32)
    if not rows or not all(row.size for row in rows.values()):
        raise VectorError(f"{path.name}: its directions are no rows of numbers")
    if how.block is None:
        rows.pop(0, None)  # the embeddings: no block's output
    if not rows:
        raise VectorError(f"{path.name}: only has a direction for the embeddings, which no block puts out")
    settings: dict[str, object] = {"layers": ranges(sorted(rows))} if len(rows) > 1 else {"layer": min(rows)}
    return [made_of_blocks({layer - 1: row for layer, row in rows.items()}, how, svec.model_type, path, settings)]


FORMAT = Format("CAST", (".svec",), read)
