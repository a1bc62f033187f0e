"""Arguments as text: a shell hands over bytes, and not all of them are UTF-8."""

from __future__ import annotations

import os
from typing import Any

from vectors.plain_text import one_line, well_formed

_PATHS = frozenset("model adapter library file out prompts questions named".split())


def is_path(name: str) -> bool:
    """Whether the argument `name` is a file or a folder: the system's names for them are bytes, and are left as they are."""
    return name in _PATHS or name.endswith(("_file", "_path"))


def as_text(value: Any) -> Any:
    """An argument's value, and each of several, as text that can be kept, encoded and shown.

    Python marks what it could not decode by lone surrogates. Where the bytes are UTF-8 after all (the locale says otherwise),
    they are read as that. Raises ValueError for bytes that are not.
    """
    if isinstance(value, (list, tuple)):
        return type(value)(as_text(one) for one in value)
    if not isinstance(value, str) or well_formed(value) == value:
        return value
    try:
        return os.fsencode(value).decode("utf-8")
    except UnicodeError:
        raise ValueError(f"{one_line(value, 60)!r} has bytes that are no UTF-8") from None
