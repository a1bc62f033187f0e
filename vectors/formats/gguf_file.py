"""GGUF control vectors, as llama.cpp, repeng and EasySteer have them: a tensor `direction.<i>` [d_model] for each block.

A file is one vector. `direction.i` acts on block i's OUTPUT, as ours do, so no number is shifted: llama.cpp keeps it at place
i - 1 of its table (common_control_vector_load_one, common/common.cpp), from which block i, counted from 0, takes place i - 1
again (llama_adapter_cvec::apply, src/llama-adapter.cpp). So it has no room for block 0, and refuses `direction.0`.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from vectors.files.bounded import MAX_BLOCKS, MAX_WIDTH
from vectors.files.regular_files import open_regular
from vectors.formats import Format
from vectors.formats.raw import Reading, checked_size, made_of_blocks, write_out
from vectors.plain_text import natural, one_line
from vectors.vector import SteeringVector, VectorError, check_one_model, summed

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

_ARCHITECTURE = "controlvector"
_DIRECTION = "direction."
_MAX_TENSORS, _MAX_FIELDS, _MAX_TEXT, _MAX_ITEMS = MAX_BLOCKS, 1000, 1 << 16, 1 << 16
# Bytes of each kind of value, by GGUF's number for it; 8 is a text, 9 an array.
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TEXT, _ARRAY = 8, 9


def read(path: Path, how: Reading) -> list[SteeringVector]:
    _screen(path)
    from gguf import GGUFReader

    try:
        reader: Any = GGUFReader(path)
        field = reader.get_field(f"{_ARCHITECTURE}.model_hint")
        hint = bytes(field.parts[-1]).decode("utf-8", "replace") if field is not None else ""
        directions: dict[int, npt.NDArray[np.float32]] = {}
        for tensor in reader.tensors:
            number = natural(tensor.name.removeprefix(_DIRECTION))
            if not tensor.name.startswith(_DIRECTION) or number is None:
                raise VectorError(f"{path.name}: tensor {one_line(tensor.name, 40)!r} is no direction of a control vector")
            if tensor.data.dtype not in (np.float32, np.float16) or tensor.data.ndim != 1 or tensor.data.size > MAX_WIDTH:
                raise VectorError(f"{path.name}: {one_line(tensor.name, 40)} is no row of floating-point numbers")
            if number in directions:
                raise VectorError(f"{path.name}: has several directions for block {number}")
            directions[number] = np.array(tensor.data, dtype=np.float32)
    except VectorError:
        raise
    except Exception as error:  # the reader raises whatever numpy does
        raise VectorError(f"{path.name}: not a GGUF file, or a damaged one ({one_line(str(error), 80)})") from error
    if not directions:
        raise VectorError(f"{path.name}: holds no directions; it is no control vector")
    return [made_of_blocks(directions, how, hint, path, {})]


def write(path: Path, vectors: Sequence[SteeringVector], replace: bool = True) -> None:
    """One control vector of all `vectors`: those of one block are summed."""
    from gguf import GGUFWriter

    check_one_model(vectors)
    rows = summed([(vector, 1.0) for vector in vectors])
    whole = SteeringVector.over_blocks(rows, vectors[0].origin)  # which holds that the sums are finite
    if 0 in rows:
        raise VectorError("a vector of block 0 would be `direction.0`, which llama.cpp refuses: export it to another format")
    # The writer wants a path of its own; what it wrote takes the place of `path` in one piece.
    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "vector.gguf"
        writer = GGUFWriter(temporary, _ARCHITECTURE)
        writer.add_string(f"{_ARCHITECTURE}.model_hint", vectors[0].origin.model.name)
        writer.add_uint32(f"{_ARCHITECTURE}.layer_count", len(whole.blocks))
        for block in whole.blocks:
            writer.add_tensor(f"{_DIRECTION}{block}", np.ascontiguousarray(whole.at(block)))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        write_out(path, temporary.read_bytes(), replace)


def _screen(path: Path) -> None:
    """Walks the header and raises VectorError where it claims what no control vector has: the reader would believe it."""
    size = checked_size(path)
    try:
        with open_regular(path) as file:
            if file.read(4) != b"GGUF":
                raise VectorError(f"{path.name}: not a GGUF file")
            version, tensors, fields = struct.unpack("<IQQ", _bytes(file, 20))
            if version not in (2, 3):
                raise VectorError(f"{path.name}: GGUF version {version} cannot be read")
            if tensors > _MAX_TENSORS or fields > _MAX_FIELDS:
                raise VectorError(f"{path.name}: {tensors} tensors and {fields} fields are too many for a control vector")
            for _ in range(fields):
                _skip_text(file)
                _skip_value(file, *struct.unpack("<I", _bytes(file, 4)))
            for _ in range(tensors):
                _skip_text(file)
                (dimensions,) = struct.unpack("<I", _bytes(file, 4))
                if dimensions != 1:
                    raise VectorError(f"{path.name}: its tensors are no rows of numbers; it is no control vector")
                width, _, offset = struct.unpack("<QIQ", _bytes(file, 20))
                if not 0 < width <= MAX_WIDTH or offset > size:
                    raise VectorError(f"{path.name}: a tensor of {width} numbers at byte {offset} cannot be in it")
    except (EOFError, KeyError, OSError) as error:
        raise VectorError(f"{path.name}: not a GGUF file, or a damaged one") from error


def _bytes(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


def _skip_text(file: BinaryIO) -> None:
    (length,) = struct.unpack("<Q", _bytes(file, 8))
    if length > _MAX_TEXT:
        raise EOFError
    _bytes(file, length)


def _skip_value(file: BinaryIO, kind: int) -> None:
    if kind == _TEXT:
        _skip_text(file)
    elif kind == _ARRAY:
        of, count = struct.unpack("<IQ", _bytes(file, 12))
        if count > _MAX_ITEMS or of == _ARRAY:
            raise EOFError
        for _ in range(count):
            _skip_value(file, of)
    else:
        _bytes(file, _SIZES[kind])


FORMAT = Format("GGUF control vector", (".gguf",), read, write)
