"""Atomic writes: a reader, or a process that starts after a crash, sees the old file or the new one, never a part."""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
import time
from pathlib import Path


def write_atomically(path: Path, data: bytes) -> None:
    """Writes `data` to `path` through a temporary file beside it, flushed to disk before it takes the name.

    Raises OSError; the old file is then untouched and no temporary file stays behind.
    """
    temporary = write_beside(path, data)
    try:
        put_in_place(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_new(path: Path, data: bytes) -> None:
    """The same for a name that nothing bears yet. Raises FileExistsError, whoever was quicker, and other OSErrors."""
    temporary = write_beside(path, data)
    try:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without second names: an empty file holds the place meanwhile
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            try:
                os.replace(temporary, path)
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        flush_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def write_beside(path: Path, data: bytes) -> Path:
    """Writes and flushes `data` to a temporary file beside `path`, and gives its path. Raises OSError, and leaves none then."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def put_in_place(temporary: Path, path: Path) -> None:
    """Gives a file that `write_beside` wrote the name it is for, whatever bears it now. Raises OSError."""
    os.replace(temporary, path)
    flush_folder(path.parent)


def second_name(path: Path) -> Path | None:
    """Another name for the file `path`, to bring it back by; None on a file system without second names."""
    name = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}.tmp")
    try:
        os.link(path, name)
    except OSError:
        return None
    return name


def sweep(folder: Path) -> None:
    """Removes the temporary files of writers that were killed an hour ago or earlier; no reader ever looks at them."""
    for left in folder.glob(".*.tmp"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > 3600:
                left.unlink()


def flush_folder(folder: Path) -> None:
    """Flushes the names of a folder's files to disk. Raises OSError."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
