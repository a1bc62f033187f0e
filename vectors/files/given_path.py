"""Paths as people type them."""

from __future__ import annotations

import os
from pathlib import Path

from vectors.errors import FileTaken, VectorError
from vectors.plain_text import one_line


def given_path(text: str) -> Path:
    """The path that `text` names, `~` expanded; nothing need be there. Raises VectorError where nothing ever could be, or
    where it cannot be told: a name too long, an unknown user's home, a folder that may not be entered.
    """
    shown = one_line(text, 80)
    try:
        path = Path(text).expanduser()
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise VectorError(f"{shown}: cannot be used as a path ({error.strerror or error})") from error
    except (RuntimeError, ValueError) as error:  # no such user; a zero byte
        raise VectorError(f"{shown}: cannot be used as a path ({error})") from error
    return path


def file_to_write(text: str, replace: bool = False) -> Path:
    """That path, as a file that can be written. Raises VectorError where its folder does not exist, or it is no file.

    Raises FileTaken where there is a file already, unless that is one to `replace`.
    """
    path = given_path(text)
    if not path.parent.is_dir():
        raise VectorError(f"{path}: its folder does not exist")
    if path.is_dir():
        raise VectorError(f"{path}: is a folder; name a file in it")
    if path.exists() and not path.is_file():
        raise VectorError(f"{path}: is a pipe, a socket or a device, and no file can take its place")
    if os.path.lexists(path) and not replace:
        raise FileTaken(f"{path}: there is such a file already")
    return path
