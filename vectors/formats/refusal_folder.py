"""refusal_direction's folder (Arditi et al.): `direction.pt`, one direction, and `direction_metadata.json` {pos, layer}.

Its layer k is the INPUT of block k: the output of block k - 1.
"""

from __future__ import annotations

import json
from pathlib import Path

from vectors.formats import pt_file
from vectors.formats.raw import Reading, checked_size, made
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError

_NUMBERS, _WORDS = "direction.pt", "direction_metadata.json"


def read(path: Path, how: Reading) -> list[SteeringVector]:
    for name in (_NUMBERS, _WORDS):
        if (path / name).is_symlink():
            raise VectorError(f"{path.name}/{name}: is a link; a folder from a stranger may not point elsewhere")
    checked_size(path / _WORDS, 1 << 16)
    try:
        about = json.loads((path / _WORDS).read_bytes())
        layer, position = int(about["layer"]), int(about.get("pos", -1))
    except (AttributeError, KeyError, OSError, OverflowError, RecursionError, TypeError, ValueError) as error:
        raise VectorError(f"{path.name}/{_WORDS}: not readable ({one_line(str(error), 80)})") from error
    block = layer - 1 if how.block is None else how.block
    if block < 0:
        raise VectorError(f"{path.name}: layer {layer} is the embeddings, which no block puts out: give the block")
    direction = pt_file.read_single(path / _NUMBERS)
    settings: dict[str, object] = {"layer": layer, "position": position}
    return [made(direction, block, "", path.resolve().name or "refusal", path, settings)]
