"""The numbers that a GGUF file's header gives, read without its tokens and weights."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from core.errors import ModelError

# struct's letter for each kind of number, by GGUF's number for the kind; 8 is a text, 9 an array.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_MAX_TEXT, _MAX_FIELDS, _MAX_ITEMS = 1 << 24, 10_000, 1 << 24


def header_numbers(path: Path, *wanted: str) -> dict[str, int]:
    """The header's values whose keys end with `.` and one of `wanted`, by those; reads no further than the last of them.

    Raises ModelError where `path` is no GGUF file or a damaged one.
    """
    found: dict[str, int] = {}
    try:
        with path.open("rb") as file:
            if file.read(4) != b"GGUF":
                raise ModelError(f"{path.name} is not a GGUF file")
            _, _, fields = _unpack(file, "IQQ")
            for _ in range(min(fields, _MAX_FIELDS)):
                key = _text(file).decode("utf-8", "replace")
                (kind,) = _unpack(file, "I")
                value = _value(file, kind)
                # `llama.block_count`, but not `clip.vision.block_count`.
                name = key.partition(".")[2]
                if name in wanted and isinstance(value, int):
                    found[name] = value
                if len(found) == len(wanted):
                    break
    except (KeyError, OSError, struct.error) as error:
        raise ModelError(f"{path.name} could not be read as a GGUF file", "is the file whole?") from error
    return found


def _value(file: BinaryIO, kind: int) -> object:
    """The next value; None for a text or an array, which is passed over."""
    if kind == _TEXT:
        _text(file)
        return None
    if kind != _ARRAY:
        return _unpack(file, _NUMBERS[kind])[0]
    of, count = _unpack(file, "IQ")
    if of == _ARRAY or count > _MAX_ITEMS:
        raise KeyError(of)
    if of == _TEXT:
        for _ in range(count):
            _text(file)
    else:
        file.seek(count * struct.calcsize(f"<{_NUMBERS[of]}"), 1)
    return None


def _text(file: BinaryIO) -> bytes:
    (length,) = _unpack(file, "Q")
    if length > _MAX_TEXT:
        raise KeyError(length)
    return file.read(length)


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
