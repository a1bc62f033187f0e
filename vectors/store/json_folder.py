"""A folder of JSON files, one a thing, each written whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vectors.files import disk
from vectors.files.atomic import sweep, write_atomically
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import dumps, loads
from vectors.plain_text import one_line
from vectors.store.index import LibraryError

_MAX_BYTES = 32 << 20
_PATIENCE = 30.0  # seconds


class JsonFolder:
    """Files `<id>.json` in `folder`, which is made when it is needed; `what` names one of them for whoever reads an error.

    Every method raises LibraryError with one clear line.
    """

    def __init__(self, folder: Path, what: str) -> None:
        self._folder, self._what = folder, what

    def save(self, id: str, data: Any) -> None:
        written = dumps(data, indent=1).encode()
        if len(written) > _MAX_BYTES:
            raise LibraryError(f"the {self._what} is too large to be kept ({len(written) >> 20} MiB)")
        try:
            self._folder.mkdir(exist_ok=True)
            write_atomically(self._folder / f"{id}.json", written)
        except OSError as error:
            what = f"the {self._what} could not be saved in {self._folder}"
            raise LibraryError(disk.refused(what, self._folder.parent, error)) from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """While it lasts no other process, nor thread, is in it: for who reads what it then writes."""
        from filelock import FileLock

        try:
            self._folder.mkdir(exist_ok=True)
            lock = FileLock(self._folder / ".lock")
            lock.acquire(timeout=_PATIENCE)
        except OSError as error:  # Timeout is one too
            what = f"the {self._what} could not be saved in {self._folder}"
            raise LibraryError(disk.refused(what, self._folder.parent, error)) from error
        try:
            yield
        finally:
            lock.release()

    def load(self, id: str) -> Any:
        """What is in it; None where there is no such file."""
        path = self._folder / f"{Path(id).name}.json"
        try:
            return loads(read_regular(path, _MAX_BYTES))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LibraryError(
                f"{one_line(path.name, 80)}: the {self._what} cannot be read ({error.strerror or error})"
            ) from error
        except ValueError as error:
            raise self.damaged(id, error) from error

    def damaged(self, id: str, error: Exception) -> LibraryError:
        """The error for a file that holds something else."""
        file, cause = one_line(f"{Path(id).name}.json", 80), one_line(str(error), 160)
        return LibraryError(f"{file}: holds no {self._what}, or a damaged one ({cause})")

    def listed(self) -> list[tuple[float, str]]:
        """(when it was changed, in seconds since the epoch, and its id), the latest first."""
        if not self._folder.is_dir():
            return []
        sweep(self._folder)
        try:
            paths = list(self._folder.glob("*.json"))
        except OSError as error:
            raise LibraryError(f"{self._folder} cannot be read ({error.strerror or error})") from error
        found: list[tuple[float, str]] = []
        for path in paths:
            with contextlib.suppress(OSError):  # a link that leads nowhere, a file that has just gone
                found.append((path.stat().st_mtime, path.stem))
        return sorted(found, reverse=True)
