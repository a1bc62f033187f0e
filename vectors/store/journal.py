"""What people did to vectors: `changes.jsonl`, a JSON line for what was changed at once, in the order it was changed.

The index is only a faster form of the files and of this. A line counts when its newline is there: what a writer was killed
over, or the disk was full over, was never reported saved, and is closed off so that the next line stands by itself.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vectors.files import disk
from vectors.files.atomic import flush_folder, write_atomically
from vectors.files.regular_files import check_regular, open_regular, read_regular
from vectors.files.strict_json import dumps, loads
from vectors.store.index import LibraryError

_MAX_LINE, _MAX_FILE = 64 << 20, 1 << 40
_PIECE = 1 << 20  # bytes that are read at once


@dataclass(frozen=True)
class Position:
    """A place in the journal: so many bytes from its start, their CRC-32, and the file's `stamp` when it was all of it."""

    bytes: int = 0
    crc: int = 0
    stamp: str = ""


class Journal:
    """The journal at `path`. Only who holds the index's write lock appends, so that its order is that of the transactions.

    Every method raises LibraryError with one clear line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def stamp(self) -> str:
        """Another one whenever the file is another one, or was changed; empty where there is none."""
        try:
            return stamp_of(self.path)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise self._unreadable(error) from error

    def size(self) -> int:
        return int(self.stamp().partition(":")[0] or 0)

    def append(self, end: Position, changes: Sequence[Mapping[str, Any]]) -> Position:
        """Writes `changes`, as one line, behind `end`, the file's end; gives the new one. When this returns it is on disk."""
        data = _line(changes[0] if len(changes) == 1 else {"all": list(changes)})
        if len(data) > _MAX_LINE:
            raise LibraryError(f"a change of {len(data) >> 20} MiB is too large to be kept: change fewer vectors at once")
        return self._append(end, data)

    def add_all(self, changes: Iterable[Mapping[str, Any]]) -> Position:
        """Writes `changes`, a line each, behind all that is there, the file anew; gives its end."""
        try:
            old = read_regular(self.path, _MAX_FILE) if self.path.exists() else b""
            data = old + (b"" if not old or old.endswith(b"\n") else b"\n") + b"".join(map(_line, changes))
            write_atomically(self.path, data)
            return Position(len(data), zlib.crc32(data), stamp_of(self.path))
        except OSError as error:
            raise self._unwritable(error) from error

    def close_off(self, end: Position) -> Position:
        """Ends a line that was cut off at `end`, the file's end."""
        return self._append(end, b"\n")

    def cut(self, size: int) -> None:
        """Takes away what stands behind the first `size` bytes: a change that was not saved after all."""
        try:
            os.truncate(self.path, size)
        except OSError as error:
            raise self._unwritable(error) from error

    def read(self, start: Position, upto: int | None = None) -> Iterator[tuple[Position, bytes]]:
        """The lines from `start` on, each with the place behind it. The last has no newline where it was cut off."""
        place, crc = start.bytes, start.crc
        try:
            with open_regular(self.path) as file:
                file.seek(place)
                while (upto is None or place < upto) and (line := file.readline(_MAX_LINE)):
                    place, crc = place + len(line), zlib.crc32(line, crc)
                    yield Position(place, crc), line
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._unreadable(error) from error

    def ends_at(self, position: Position) -> bool:
        """Whether `position` is the end of the journal as it is now."""
        return self.stamp() == position.stamp or (self.size() == position.bytes and self.begins_as(position))

    def begins_as(self, position: Position) -> bool:
        """Whether the bytes before `position` are those that were there: nothing but lines behind it may be new."""
        left, crc = position.bytes, 0
        try:
            with open_regular(self.path) as file:
                while left and (piece := file.read(min(left, _PIECE))):
                    left, crc = left - len(piece), zlib.crc32(piece, crc)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._unreadable(error) from error
        return not left and crc == position.crc

    def changes(self, upto: int | None = None) -> Iterator[dict[str, Any]]:
        """All changes from the first."""
        for _, line in self.read(Position(), upto):
            yield from parsed(line)

    def _append(self, end: Position, data: bytes) -> Position:
        try:
            if not (new := not self.path.exists()):
                check_regular(self.path)
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
            try:
                try:
                    left = memoryview(data)
                    while left:
                        left = left[os.write(handle, left) :]
                    os.fsync(handle)
                except BaseException:
                    os.ftruncate(handle, end.bytes)
                    raise
            finally:
                os.close(handle)
            if new:
                flush_folder(self.path.parent)
            return Position(end.bytes + len(data), zlib.crc32(data, end.crc), stamp_of(self.path))
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> LibraryError:
        folder = self.path.parent
        return LibraryError(disk.refused(f"the change could not be saved in {folder}", folder, error))

    def _unreadable(self, error: OSError) -> LibraryError:
        return LibraryError(f"{self.path}: cannot be read ({error.strerror or error})")


def _line(change: Mapping[str, Any]) -> bytes:
    return dumps(change).encode() + b"\n"


def parsed(line: bytes) -> Iterator[dict[str, Any]]:
    """The changes that a line holds, none where it is none of ours: one that was cut off, or edited."""
    try:
        change = loads(line)
    except ValueError:
        return
    for one in change["all"] if isinstance(change, dict) and isinstance(change.get("all"), list) else [change]:
        if isinstance(one, dict):
            yield one


def stamp_of(path: Path, link: bool = False) -> str:
    """`size:time of its last change` of a file, which a copy of it has too, or, with `link`, of a link that leads nowhere.

    Raises OSError.
    """
    stat = path.lstat() if link and not path.exists() else path.stat()
    return f"{stat.st_size}:{stat.st_mtime_ns}"
