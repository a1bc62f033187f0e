"""refusal_direction's folder (Arditi et al.): `direction.pt`, one direction, and `direction_metadata.json` {pos, layer}.

Its layer k is the INPUT of block k: the output of block k - 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from vectors.files.bounded import MAX_BLOCKS, Between, decoded
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import loads
from vectors.formats import Format, pt_file
from vectors.formats.raw import Reading, made
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError

_NUMBERS, _WORDS = "direction.pt", "direction_metadata.json"
_MOST = 1 << 16


@dataclass(frozen=True)
class _Metadata:
    layer: Annotated[int, Between(0, MAX_BLOCKS)]
    pos: int = -1


def read(path: Path, how: Reading) -> list[SteeringVector]:
    for name in (_NUMBERS, _WORDS):
        if (path / name).is_symlink():
            raise VectorError(f"{path.name}/{name}: is a link; a folder from a stranger may not point elsewhere")
    try:
        about = decoded(_Metadata, loads(read_regular(path / _WORDS, _MOST)))
    except (OSError, ValueError) as error:
        raise VectorError(f"{path.name}/{_WORDS}: not readable ({one_line(str(error), 80)})") from error
    block = about.layer - 1 if how.block is None else how.block
    if block < 0:
        raise VectorError(f"{path.name}: layer {about.layer} is the embeddings, which no block puts out: give the block")
    direction = pt_file.read_single(path / _NUMBERS)
    settings: dict[str, object] = {"layer": about.layer, "position": about.pos}
    return [made(direction, block, "", path.resolve().name or "refusal", path, settings)]


FORMAT = Format("refusal_direction", (), read)
