"""File formats: one module a format, registered here by the suffixes it answers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vectors.formats import gguf_file, npy_file, pt_file, refusal_folder, safetensors_file, svec_file
from vectors.formats.raw import Reading
from vectors.vector import SteeringVector, VectorError


class Write(Protocol):
    def __call__(self, path: Path, vectors: Sequence[SteeringVector], *, replace: bool = True) -> None: ...


@dataclass(frozen=True)
class Format:
    """`read` gives what the file holds; `write` writes atomically, over another file only where its last argument says so.

    Both raise VectorError with one clear line.
    """

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path, Reading], list[SteeringVector]] | None = None
    write: Write | None = None


FORMATS = (
    Format("safetensors", (".safetensors",), safetensors_file.read, safetensors_file.write),
    Format("GGUF control vector", (".gguf",), gguf_file.read, gguf_file.write),
    Format("NumPy array", (".npy",), npy_file.read, npy_file.write),
    Format("PyTorch tensors", (".pt", ".pth", ".bin"), pt_file.read),
    Format("CAST", (".svec",), svec_file.read),
)
_FOLDER = Format("refusal_direction", (), refusal_folder.read)


def reader_of(path: Path) -> Callable[[Path, Reading], list[SteeringVector]]:
    """What reads `path`, by its suffix; a folder is one of refusal_direction's. Raises VectorError for what cannot be read."""
    if path.is_dir():
        assert _FOLDER.read is not None
        return _FOLDER.read
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes and known.read is not None:
            return known.read
    raise VectorError(f"{path.name}: no format that can be read here (known: {_suffixes('read')}, refusal_direction's folders)")


def writer_of(path: Path) -> Write:
    """What writes `path`, by its suffix. Raises VectorError for what cannot be written."""
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes and known.write is not None:
            return known.write
    raise VectorError(f"{path.name}: no format that can be written here (known: {_suffixes('write')}, .json for recipes)")


def _suffixes(what: str) -> str:
    return ", ".join(suffix for known in FORMATS if getattr(known, what) for suffix in known.suffixes)
