"""What a disk refuses, in words: full, over a quota, only to be read, files that may grow no further."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

_NOT_LOST = "nothing that was saved is lost"
_PROBE = 64 << 10
# What is left, in bytes, when a person should be told before anything fails.
NEARLY_FULL = 64 << 20


def refused(what: str, folder: Path, error: OSError | sqlite3.Error) -> str:
    """One line: `what` could not be done in `folder`, why, and what to do about it."""
    if isinstance(error, sqlite3.Error):
        error = _met_by_sqlite(error, folder)
    cause = error.strerror or str(error)
    match error.errno:
        case errno.ENOSPC:
            return f"{what}: the disk that holds {folder} is full ({cause}); free some space and try again: {_NOT_LOST}"
        case errno.EDQUOT:
            return f"{what}: your quota on the disk that holds {folder} is used up ({cause}); free some space: {_NOT_LOST}"
        case errno.EFBIG:
            return f"{what}: a file in {folder} may grow no further ({cause}); raise the limit (`ulimit -f`): {_NOT_LOST}"
        case errno.EROFS:
            return f"{what}: {folder} can only be read ({cause})"
    return f"{what} ({cause})"


def short_of_space(error: BaseException | None) -> OSError | None:
    """The error of a disk without space behind `error`, also where another library has made words of it; None without one."""
    while error is not None:
        for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            if (isinstance(error, OSError) and error.errno == code) or os.strerror(code) in str(error):
                return OSError(code, os.strerror(code))
        error = error.__cause__ or error.__context__
    return None


def nearly_full(folder: Path) -> str:
    """A line for a disk with little space left; nothing where there is enough, or nobody can tell."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError:
        return ""
    return f"the disk that holds {folder} has {free >> 20} MiB left: free some space" if free < NEARLY_FULL else ""


def _met_by_sqlite(error: sqlite3.Error, folder: Path) -> OSError:
    """The system's error behind SQLite's, which does not say which it met: an attempt of our own meets it again."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return OSError(errno.ENOSPC, str(error))
    met = _probe(folder) if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) else None
    return met or OSError(str(error))


def _probe(folder: Path) -> OSError | None:
    """The error that writing beside the index meets: as much again as a transaction does, and as far into a file.

    A limit of how large files may grow is met only behind the end of the largest; what is skipped before takes no space.
    """
    try:
        far = max((path.stat().st_size for path in folder.iterdir() if path.is_file()), default=0)
        handle, path = tempfile.mkstemp(dir=folder, prefix=".probe.", suffix=".tmp")
    except OSError as error:
        return error
    try:
        os.lseek(handle, far, os.SEEK_SET)
        left = _PROBE
        while left > 0:
            left -= os.write(handle, bytes(left))
        os.fsync(handle)
    except OSError as error:
        return error
    finally:
        os.close(handle)
        Path(path).unlink(missing_ok=True)
    return None
