"""The file that a training run was told to write its vectors to, beside the library: its own, and nobody else's."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vectors.errors import FileTaken
from vectors.files.given_path import file_to_write
from vectors.formats import safetensors_file
from vectors.vector import SteeringVector, VectorError

_Stamp = tuple[int, int, int]


class OutFile:
    """The file named `text`, for the run with the id `run`, which replaces another file only with `force`.

    Raises FileTaken where a file is there that this run has not written, VectorError where none can be.
    """

    def __init__(self, text: str, run: str, force: bool) -> None:
        self.path = file_to_write(text, replace=True)
        self._force = force
        self._own: _Stamp | None = None
        if os.path.lexists(self.path) and not force:
            if not self._is_of(run):
                raise FileTaken(f"{self.path}: there is such a file already")
            self._own = self._stamp()

    def write(self, vectors: Sequence[SteeringVector], losses: npt.NDArray[np.float32]) -> None:
        """Writes all that the run has by now. Raises FileTaken where another program has put a file there meanwhile."""
        if self._own is not None and self._stamp() not in (self._own, None):
            raise FileTaken(f"{self.path}: another program has written to it")
        replace = self._force or (self._own is not None and self._stamp() is not None)
        safetensors_file.write(self.path, vectors, losses, replace=replace)
        self._own, self._force = self._stamp(), False

    def _is_of(self, run: str) -> bool:
        """Whether the file holds vectors of the run: a run that is taken up finds what it wrote before."""
        try:
            return all(entry.id.startswith(f"{run}/") for entry in safetensors_file.read_header(self.path))
        except VectorError:
            return False

    def _stamp(self) -> _Stamp | None:
        try:
            status = os.lstat(self.path)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns
