"""A GGUF file's header: the numbers that it gives, and whether all that it claims is in the file. Reads no weights."""

from __future__ import annotations

import math
import struct
from pathlib import Path
from typing import BinaryIO

from core.errors import ModelError
from vectors.files.regular_files import check_regular, open_regular
from vectors.plain_text import one_line

# struct's letter for each kind of number, by GGUF's number for the kind; 8 is a text, 9 an array.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9
_MAX_TEXT, _MAX_FIELDS, _MAX_ITEMS, _MAX_TENSORS, _MAX_DIMENSIONS = 1 << 24, 10_000, 1 << 24, 1_000_000, 8
_COUNTS, _MOST_OF_A_KIND = ("block_count", "expert_count", "head_count"), 100_000


def header_numbers(path: Path, *wanted: str) -> dict[str, int]:
    """The header's values whose keys end with `.` and one of `wanted`, by those; reads no further than the last of them.

    Raises ModelError where `path` is no GGUF file or a damaged one.
    """
    found: dict[str, int] = {}
    try:
        with open_regular(path) as file:
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


def check_header(path: Path) -> None:
    """Raises ModelError where the header claims more than the file holds: what reads it would believe that, and not end."""
    try:
        size = check_regular(path)
        with open_regular(path) as file:
            if file.read(4) != b"GGUF":
                raise ModelError(f"{path.name} is not a GGUF file")
            _, tensors, fields = _unpack(file, "IQQ")
            _within(fields, _MAX_FIELDS, f"{fields:,} fields")
            _within(tensors, _MAX_TENSORS, f"{tensors:,} tensors")
            for _ in range(fields):
                key = _text(file).decode("utf-8", "replace")
                value = _value(file, _unpack(file, "I")[0])
                if isinstance(value, int) and key.rpartition(".")[2] in _COUNTS:
                    _within(value, _MOST_OF_A_KIND, f"that {one_line(key, 60)} is {value:,}")
                _within(file.tell(), size, f"more than it holds in {one_line(key, 60)}")
            for _ in range(tensors):
                name = one_line(_text(file).decode("utf-8", "replace"), 60)
                (dimensions,) = _unpack(file, "I")
                _within(dimensions, _MAX_DIMENSIONS, f"{dimensions:,} dimensions of {name}")
                shape = _unpack(file, "Q" * dimensions)
                _, offset = _unpack(file, "IQ")
                # No kind of weight takes less than a bit.
                _within(offset + math.prod(shape) // 8, size, f"{name} of {'x'.join(map(str, shape))}")
    except _Claims as error:
        raise ModelError(
            f"{path.name} could not be read as a GGUF file: its header claims {error}, and it has {size:,} bytes",
            "is the file whole? fetch it again",
        ) from error
    except (KeyError, OSError, OverflowError, struct.error) as error:
        raise ModelError(f"{path.name} could not be read as a GGUF file", "is the file whole?") from error


class _Claims(Exception):
    """What a header claims and cannot be."""


def _within(number: int, most: int, claim: str) -> None:
    if number > most:
        raise _Claims(claim)


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
    text = file.read(length)
    if len(text) < length:
        raise struct.error("the file ends in a text")
    return text


def _unpack(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(f"<{form}", file.read(struct.calcsize(f"<{form}")))
