"""Opening what lies under a name: regular files only. A pipe would make us wait for ever, and a device may have no end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)


def open_regular(path: Path) -> BinaryIO:
    """The file at `path`, for reading. Raises OSError, also for a pipe, a socket, a device or a folder."""
    try:
        _check(path, os.stat(path))  # a device is not even opened, for that may already set it to work
    except ValueError as error:
        raise OSError(errno.EINVAL, f"no file can have that name ({error})") from error
    descriptor = os.open(path, _FLAGS)
    try:
        _check(path, os.fstat(descriptor))  # it may have been put in the file's place meanwhile
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, most: int) -> bytes:
    """All of the file at `path`. Raises OSError, also where that is more than `most` bytes."""
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1) if size <= most else b""  # it may be growing
    if max(size, len(data)) > most:
        raise OSError(errno.EFBIG, f"larger than {most >> 20} MiB", str(path))
    return data


def check_regular(path: Path) -> int:
    """The file's size in bytes. Raises OSError where `open_regular` would."""
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def _check(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe, a socket or a device"
        raise OSError(errno.EINVAL, f"it is {kind}, not a file", str(path))
