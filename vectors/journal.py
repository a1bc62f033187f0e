"""What people did to vectors, one JSON line a change, appended and flushed before the index takes it in.

The index is only a faster form of the files and of this: where it is lost, it is made again from them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vectors.index import LibraryError
from vectors.regular_files import check_regular, open_regular
from vectors.strict_json import dumps, loads

_MAX_LINE = 40 << 20  # three texts of a sample, each of their characters written as twelve


class Journal:
    """`changes.jsonl` in the library's folder. Appending is done under the index's write lock, one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def append(self, changes: Sequence[Mapping[str, Any]]) -> None:
        """Writes `changes` behind what is there; when this returns they are on disk. Raises LibraryError."""
        data = "".join(dumps(change) + "\n" for change in changes).encode()
        try:
            if self.path.exists():
                check_regular(self.path)
            with self.path.open("ab") as out:
                whole = out.tell()
                if whole and not _ends_with_a_line(self.path):
                    data = b"\n" + data  # a writer was killed, or the disk was full, in the middle of a line
                try:
                    out.write(data)
                    out.flush()
                    os.fsync(out.fileno())
                except OSError:
                    os.truncate(self.path, whole)
                    raise
        except OSError as error:
            raise LibraryError(f"the change could not be saved in {self.path.parent} ({error.strerror or error})") from error

    def changes(self) -> Iterator[dict[str, Any]]:
        """All changes from the first; lines that were cut off by a crash are left out."""
        try:
            with open_regular(self.path) as lines:
                while line := lines.readline(_MAX_LINE):
                    try:
                        change = loads(line)
                    except ValueError:
                        continue
                    if isinstance(change, dict):
                        yield change
        except FileNotFoundError:
            return
        except OSError as error:
            raise LibraryError(f"{self.path}: cannot be read ({error.strerror or error})") from error


def _ends_with_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
