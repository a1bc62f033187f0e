"""IBM CAST's .svec: JSON {model_type, directions: {layer: numbers}}, a direction for each of many layers.

Its layer k is the INPUT of block k (the list of hidden states starts with the embeddings): the output of block k - 1.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from vectors.formats.raw import MAX_BLOCKS, MAX_WIDTH, Reading, checked_size, made
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
else:
    from vectors import deferred_numpy as np

_MOST = 16 << 20  # Python numbers are eight times as large as their text


def read(path: Path, how: Reading) -> list[SteeringVector]:
    checked_size(path, _MOST)
    try:
        data = json.loads(path.read_bytes())
        layers = {int(layer): numbers for layer, numbers in data["directions"].items()}
        model = str(data.get("model_type") or "")
        rows = {layer: np.asarray(numbers, dtype=np.float32) for layer, numbers in layers.items()}
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise VectorError(f"{path.name}: not a .svec file, or a damaged one ({one_line(str(error), 80)})") from error
    if not rows or any(row.ndim != 1 or not 0 < row.size <= MAX_WIDTH for row in rows.values()):
        raise VectorError(f"{path.name}: its directions are no rows of numbers")
    if not all(0 <= layer < MAX_BLOCKS for layer in rows):
        raise VectorError(f"{path.name}: its directions are of layers that no model has")
    if how.block is not None and len(rows) > 1:
        raise VectorError(f"{path.name}: says for {len(rows)} layers where it acts; leave the block out")
    found = []
    for layer, row in sorted(rows.items()):
        block = layer - 1 if how.block is None else how.block
        if how.block is None and layer == 0:
            continue  # the embeddings: no block's output
        found.append(made(row, block, model, f"{path.stem}-b{block:02d}", path, {"layer": layer}))
    if not found:
        raise VectorError(f"{path.name}: only has a direction for the embeddings, which no block puts out")
    return found
