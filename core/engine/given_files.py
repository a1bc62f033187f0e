"""The files that a training run's request names: the draws that it starts from, and where its vectors go to as well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vectors.files.given_path import file_to_write
from vectors.formats import safetensors_file


def read_draws(init: str) -> npt.NDArray[np.floating]:
    """The raw draws [n, d_model] that `init`, FILE or FILE:TENSOR, names. Raises VectorError."""
    path, _, tensor = init.partition(":")
    return np.atleast_2d(safetensors_file.read_tensor(Path(path), tensor or "vectors"))


def looked_at(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a run is given (core/discovery/declarations/general.py), once its files have been looked at.

    Where no number of vectors is given, there are as many as `init` has rows; `out` is a path that can be written. Raises
    VectorError for a file that cannot be, FileTaken for one that is there and is not to be replaced.
    """
    looked = dict(given)
    if looked.get("init") is not None and looked.get("vectors") is None:
        looked["vectors"] = len(read_draws(looked["init"]))
    if looked.get("out") is not None:
        looked["out"] = str(file_to_write(looked["out"], replace=looked.get("force", False)))
    return looked
