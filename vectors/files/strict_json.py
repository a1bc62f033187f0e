"""JSON as files may hold it, read so that nothing that follows can be surprised by a number."""

from __future__ import annotations

import json
import math
import operator
from typing import Any, SupportsIndex

_LONGEST_NUMBER = 400  # characters; a float ends at 1.8e308


def loads(data: bytes | str) -> Any:
    """The value that `data` writes, in UTF-8. Raises ValueError, with one short line, for what is no JSON.

    A whole number of more than 64 bits becomes a float, and what is no finite number (Python writes NaN and Infinity) None:
    what is `int` afterwards fits into a database, and what is `float` is finite. A whole number beyond any float is refused,
    and so is a key that stands twice in one object.
    """
    try:
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dumps(value: Any, indent: int | None = None) -> str:
    """`value` in ASCII, as `loads` reads it: None stands for what is no finite number."""
    try:
        return json.dumps(value, ensure_ascii=True, allow_nan=False, indent=indent, default=_number)
    except ValueError:
        return json.dumps(_finite(value), ensure_ascii=True, allow_nan=False, indent=indent, default=_number)


def _number(value: Any) -> int | float | None:
    """A number of numpy's as one of Python's. Raises TypeError for what is none."""
    return operator.index(value) if isinstance(value, SupportsIndex) else _finite(float(value))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _float(text: str) -> float | None:
    value = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
    return value if math.isfinite(value) else None


def _int(text: str) -> int | float:
    value = int(text) if len(text) <= 20 else _float(text)
    if value is None:
        raise ValueError(f"a whole number has {len(text):,} digits")
    return value if -(1 << 63) <= value < 1 << 63 else float(value)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"{next(key for key in keys if keys.count(key) > 1)[:40]!r} stands twice in one object")
    return made


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_float=_float, parse_int=_int, parse_constant=lambda name: None)
