"""Work in hand, as it stood a few seconds ago: unfinished/<run>.safetensors, a JSON header and the state's tensors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from vectors import disk
from vectors.atomic import sweep, write_atomically
from vectors.index import LibraryError
from vectors.plain_text import one_line

_KEY = "melbo-tui-run"
_MAX_BYTES = 1 << 32
Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Checkpoint:
    """A run's id, what its task said of it (JSON), and the state's tensors by name."""

    run: str
    header: Mapping[str, Any]
    tensors: Tensors


class Checkpoints:
    """The unfinished runs of the library in `folder`, or work of another `kind`, each in a subfolder of that name.

    Every method raises LibraryError with one clear line.
    """

    def __init__(self, folder: Path, kind: str = "unfinished") -> None:
        self._folder = folder / kind

    def save(self, run: str, header: Mapping[str, Any], tensors: Tensors) -> None:
        data = save({name: np.ascontiguousarray(t) for name, t in tensors.items()} or _NOTHING, {_KEY: json.dumps(header)})
        try:
            self._folder.mkdir(exist_ok=True)
            write_atomically(self._path(run), data)
        except OSError as error:
            what = f"the run could not be saved in {self._folder}"
            raise LibraryError(disk.refused(what, self._folder.parent, error)) from error

    @contextmanager
    def held(self, run: str) -> Iterator[None]:
        """While it lasts no other process goes on with the run. Raises LibraryError where one does already."""
        from filelock import FileLock, Timeout

        lock = FileLock(self._lock(run))
        try:
            self._folder.mkdir(exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout as error:
            raise LibraryError(f"{run} is under way in another process; end it there first") from error
        except OSError:  # a disk that is full, or that knows no locks, keeps nobody from working
            pass
        try:
            yield
        finally:
            lock.release()

    def load(self, run: str) -> Checkpoint:
        path = self._path(run)
        try:
            if path.stat().st_size > _MAX_BYTES:
                raise LibraryError(f"{path.name}: too large for a run's state")
            with safe_open(path, framework="numpy") as file:
                header = json.loads((file.metadata() or {}).get(_KEY, "null"))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  the file is no mapping
        except FileNotFoundError as error:
            raise LibraryError(f"there is no {one_line(run, 60)} in the library's {self._folder.name}") from error
        except (OSError, SafetensorError, ValueError) as error:
            raise LibraryError(f"{path.name}: it cannot be read ({one_line(str(error), 80)})") from error
        if not isinstance(header, dict):
            raise LibraryError(f"{path.name}: it has no header of ours")
        return Checkpoint(run, header, {name: t for name, t in tensors.items() if name not in _NOTHING})

    def unfinished(self) -> list[str]:
        """Ids of the runs that are there, the latest last."""
        if not self._folder.is_dir():
            return []
        sweep(self._folder)
        return sorted(path.stem for path in self._folder.glob("*.safetensors"))

    def latest(self, fingerprint: str) -> Checkpoint | None:
        """The latest unfinished run of the model with that fingerprint."""
        runs = (self.load(run) for run in reversed(self.unfinished()))
        return next((left for left in runs if left.header.get("fingerprint") == fingerprint), None)

    def drop(self, run: str) -> None:
        """Forgets the run's state: it is done. What it found stays where it is."""
        self._path(run).unlink(missing_ok=True)
        self._lock(run).unlink(missing_ok=True)

    def _lock(self, run: str) -> Path:
        return self._path(run).with_name(f".{run}.lock")

    def _path(self, run: str) -> Path:
        if not run or not all(letter.isalnum() or letter == "-" for letter in run):
            raise LibraryError(f"{one_line(run, 60)!r} is no run's id")
        return self._folder / f"{run}.safetensors"


# safetensors files need a tensor.
_NOTHING: Tensors = {"nothing": np.zeros(1, dtype=np.float32)}
