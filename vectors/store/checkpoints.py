"""Work in hand, as it stood a few seconds ago: unfinished/<run>.safetensors, a JSON header and the state's tensors."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from safetensors import SafetensorError, safe_open

from vectors.errors import VectorError
from vectors.files import disk
from vectors.files.atomic import sweep, write_atomically
from vectors.files.bounded import Unfit, check, decoded
from vectors.files.regular_files import check_regular, open_regular
from vectors.files.strict_json import dumps, loads
from vectors.plain_text import one_line
from vectors.store.index import LibraryError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

_KEY = "melbo-tui-run"
_MAX_BYTES, _MAX_HEADER, _MAX_TENSORS = 1 << 32, 64 << 20, 1000
_TYPES = ("F32", "F64", "F16", "I64", "I32", "I16", "I8", "U8", "BOOL")  # which numpy has
_NOTHING = "nothing"  # safetensors files need a tensor
Tensors: TypeAlias = "dict[str, npt.NDArray[Any]]"
T = TypeVar("T")


@dataclass(frozen=True)
class Checkpoint:
    """A run's id, what its task said of it (JSON), and the state's tensors by name."""

    run: str
    header: Mapping[str, Any]
    tensors: Tensors

    def told(self, kind: type[T]) -> T:
        """The header, or as much of it as the dataclass `kind` has fields for. Raises LibraryError where it is none."""
        try:
            return decoded(kind, dict(self.header))
        except VectorError as error:
            raise LibraryError(f"{self.run}: its header cannot be read ({one_line(str(error), 160)})") from error


@dataclass(frozen=True)
class _Header:
    said: Mapping[str, Any]


class Checkpoints:
    """The unfinished runs of the library in `folder`, or work of another `kind`, each in a subfolder of that name.

    Every method raises LibraryError with one clear line.
    """

    def __init__(self, folder: Path, kind: str = "unfinished") -> None:
        self._folder = folder / kind

    def save(self, run: str, header: Mapping[str, Any], tensors: Tensors) -> None:
        from safetensors.numpy import save  # which imports numpy

        kept = {name: np.ascontiguousarray(t) for name, t in tensors.items()} or {_NOTHING: np.zeros(1, dtype=np.float32)}
        try:
            check(_Header(header))
        except Unfit as error:
            raise LibraryError(f"the run could not be saved: {error}") from error
        data = save(kept, {_KEY: dumps(header)})
        if len(data) > _MAX_BYTES or struct.unpack_from("<Q", data)[0] > _MAX_HEADER:
            raise LibraryError(f"the run could not be saved: its state is too large ({len(data) >> 20} MiB)")
        try:
            self._folder.mkdir(exist_ok=True)
            write_atomically(self._path(run), data)
        except OSError as error:
            what = f"the run could not be saved in {self._folder}"
            raise LibraryError(disk.refused(what, self._folder.parent, error)) from error

    @contextlib.contextmanager
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
            _check_size(path)
            with safe_open(path, framework="numpy") as file:
                header = decoded(_Header, {"said": loads((file.metadata() or {}).get(_KEY, "null"))}).said
                tensors = {name: _tensor(file, name) for name in file.keys()}  # noqa: SIM118  the file is no mapping
        except FileNotFoundError as error:
            raise LibraryError(f"there is no {one_line(run, 60)} in the library's {self._folder.name}") from error
        except (OSError, SafetensorError, ValueError) as error:
            raise LibraryError(f"{one_line(path.name, 80)}: it cannot be read ({one_line(str(error), 160)})") from error
        return Checkpoint(run, header, {name: t for name, t in tensors.items() if name != _NOTHING})

    def unfinished(self) -> list[str]:
        """Ids of the runs that are there, the latest last."""
        if not self._folder.is_dir():
            return []
        sweep(self._folder)
        self._sweep_locks()
        return sorted(path.stem for path in self._folder.glob("*.safetensors") if _is_id(path.stem))

    def readable(self) -> Iterator[Checkpoint]:
        """Those that can be read, the latest first: one that is damaged hides no other."""
        for run in reversed(self.unfinished()):
            with contextlib.suppress(LibraryError):
                yield self.load(run)

    def latest(self, fingerprint: str) -> Checkpoint | None:
        """The latest unfinished run of the model with that fingerprint."""
        return next((left for left in self.readable() if left.header.get("fingerprint") == fingerprint), None)

    def drop(self, run: str) -> None:
        """Forgets the run's state: it is done. What it found stays where it is."""
        path = self._path(run)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise LibraryError(f"{path} cannot be removed ({error.strerror or error}): delete it yourself") from error
        with contextlib.suppress(OSError):  # `unfinished` sweeps it
            self._lock(run).unlink(missing_ok=True)

    def _sweep_locks(self) -> None:
        """Removes the locks of runs that left no state, and that no process holds."""
        from filelock import FileLock, Timeout

        for path in self._folder.glob(".*.lock"):
            if (self._folder / f"{path.stem[1:]}.safetensors").exists():
                continue
            with contextlib.suppress(OSError, Timeout), FileLock(path, timeout=0):
                path.unlink()

    def _lock(self, run: str) -> Path:
        return self._path(run).with_name(f".{run}.lock")

    def _path(self, run: str) -> Path:
        if not _is_id(run):
            raise LibraryError(f"{one_line(run, 60)!r} is no run's id")
        return self._folder / f"{run}.safetensors"


def _is_id(run: str) -> bool:
    return bool(run) and all(letter.isalnum() or letter == "-" for letter in run)


def _check_size(path: Path) -> None:
    """Raises ValueError where the file claims what it cannot hold; nothing of it has been believed yet."""
    size = check_regular(path)
    if size > _MAX_BYTES:
        raise ValueError(f"{size >> 20} MiB are too many")
    with open_regular(path) as raw:
        start = raw.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(_MAX_HEADER, size):
            raise ValueError("it is no safetensors file, or a damaged one")
        if raw.read(length).count(b'"data_offsets"') > _MAX_TENSORS:
            raise ValueError("it has too many tensors")


def _tensor(file: Any, name: str) -> npt.NDArray[Any]:
    kind = file.get_slice(name).get_dtype()
    if kind not in _TYPES:
        raise ValueError(f"{one_line(name, 40)} holds {one_line(str(kind), 20)} numbers, which no run's state does")
    tensor: npt.NDArray[Any] = file.get_tensor(name)
    return tensor
