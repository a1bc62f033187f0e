"""PyTorch's .pt: MELBO's and its forks' bare [n, d_model], melbo-ortho's (row 0 the base), DCT's V (columns).

Such files are pickles, and pickles can be programs: only tensors are read, by `weights_only=True`, and the file is looked
through before torch, a large thing to import, is asked at all.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vectors.formats import Format
from vectors.formats.raw import MAX_NUMBERS, Reading, check_shape, checked_size, rows_as_vectors
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

_MAX_PICKLE = 1 << 20
_MAX_MEMBERS = 1000
# All that a pickle of tensors in lists and dictionaries names.
_ALLOWED = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    *(f"torch {kind}Storage" for kind in ("Float", "Half", "BFloat16", "Double")),
}


def read(path: Path, how: Reading) -> list[SteeringVector]:
    name, rows = _tensor(path, how.tensor)
    return rows_as_vectors(path, rows, how, {"tensor": name} if name else {})


def read_single(path: Path) -> npt.NDArray[np.float32]:
    """The file's only tensor, one vector [d_model]."""
    rows = _tensor(path, None)[1]
    if rows.ndim != 1:
        raise VectorError(f"{path.name}: holds an array of shape {rows.shape}, not one direction")
    return rows


def _tensor(path: Path, wanted: str | None) -> tuple[str, npt.NDArray[np.float32]]:
    _screen(path)
    import torch

    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch raises whatever it likes for damaged files
        raise VectorError(f"{path.name}: cannot be read as tensors ({one_line(str(error), 80)})") from error
    tensors: dict[str, Any] = {}
    if isinstance(loaded, torch.Tensor):
        tensors[""] = loaded
    elif isinstance(loaded, dict):
        tensors = {one_line(str(key), 60): value for key, value in loaded.items() if isinstance(value, torch.Tensor)}
    elif isinstance(loaded, (list, tuple)) and loaded and all(isinstance(item, torch.Tensor) for item in loaded):
        # MELBO's forks save lists of vectors too.
        alike = len({item.shape for item in loaded}) == 1 and loaded[0].ndim == 1
        if not alike or sum(item.numel() for item in loaded) > MAX_NUMBERS:
            raise VectorError(f"{path.name}: its tensors are no vectors of one width")
        tensors[""] = torch.stack([item.float() for item in loaded])
    if wanted is not None and wanted not in tensors:
        raise VectorError(f"{path.name}: no tensor {one_line(wanted, 40)!r} in it (it has: {', '.join(tensors) or 'none'})")
    if len(tensors) > 1 and wanted is None:
        raise VectorError(f"{path.name}: holds several tensors ({', '.join(list(tensors)[:8])}): name one")
    if not tensors:
        raise VectorError(f"{path.name}: holds no tensors")
    name = wanted if wanted is not None else next(iter(tensors))
    tensor = tensors[name].detach()
    # A tensor of a few bytes may claim any shape by strides of zero: the claim is checked before it is copied.
    check_shape(path, tensor.shape)
    if not tensor.is_floating_point():
        raise VectorError(f"{path.name}: holds no floating-point numbers")
    rows: npt.NDArray[np.float32] = tensor.float().contiguous().numpy().copy()
    return name, rows


def _screen(path: Path) -> None:
    """Raises VectorError unless `path` is an uncompressed archive of honest sizes whose pickle names tensors only."""
    size = checked_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) > _MAX_MEMBERS:
                raise VectorError(f"{path.name}: {len(members)} parts are too many for a file of steering vectors")
            # Stored, not compressed, and together no larger than the file: nothing can unfold into terabytes.
            stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
            if not stored or sum(member.file_size for member in members) > size:
                raise VectorError(f"{path.name}: not written by torch.save (its parts claim more than the file holds)")
            pickles = [member for member in members if member.filename.endswith(".pkl")]
            if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE:
                raise VectorError(f"{path.name}: not written by torch.save")
            pickle = archive.read(pickles[0])
    # zipfile says EOFError of a part that is cut off; RuntimeError of a locked archive, an unknown version or cipher.
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError) as error:
        if isinstance(error, VectorError):
            raise
        raise VectorError(f"{path.name}: not a .pt file of torch 1.6 or later, or a damaged one") from error
    try:
        for opcode, argument, _ in pickletools.genops(pickle):
            strange = opcode.name in ("STACK_GLOBAL", "INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "EXT1", "EXT2", "EXT4")
            if strange or (opcode.name == "GLOBAL" and argument not in _ALLOWED):
                what = one_line(str(argument or opcode.name), 60)
                raise VectorError(f"{path.name}: holds more than tensors ({what}) and is not opened; it could run code")
    except VectorError:
        raise
    except Exception as error:  # whatever a damaged pickle makes of the parser
        raise VectorError(f"{path.name}: its pickle is damaged ({one_line(str(error), 60)})") from error


FORMAT = Format("PyTorch tensors", (".pt", ".pth", ".bin"), read)
