"""File formats: one module a format, registered here by the suffixes it answers to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from vectors.formats import safetensors_file
from vectors.vector import SteeringVector, VectorError


@dataclass(frozen=True)
class Format:
    """`read` gives what the file holds; `write` writes atomically. Both raise VectorError with one clear line."""

    name: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], list[SteeringVector]]
    write: Callable[[Path, Sequence[SteeringVector]], None]


FORMATS = (Format("safetensors", (".safetensors",), safetensors_file.read, safetensors_file.write),)


def format_of(path: Path) -> Format:
    """The format that `path`'s suffix names. Raises VectorError for an unknown one."""
    for known in FORMATS:
        if path.suffix.lower() in known.suffixes:
            return known
    suffixes = ", ".join(suffix for known in FORMATS for suffix in known.suffixes)
    raise VectorError(f"{path.name}: not a format that can be read or written here (known: {suffixes})")
