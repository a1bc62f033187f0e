"""The state of unfinished runs: what goes when one is done, and what is left by one that was killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vectors.store.checkpoints import Checkpoints
from vectors.store.index import LibraryError


def test_what_cannot_be_removed_is_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save("r", {}, {"x": np.zeros(2, np.float32)})

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(LibraryError, match=r"r\.safetensors cannot be removed \(Read-only file system\)"):
        checkpoints.drop("r")


def test_locks_of_runs_that_left_no_state_go_unless_they_are_held(tmp_path: Path) -> None:
    checkpoints, folder = Checkpoints(tmp_path), tmp_path / "unfinished"
    checkpoints.save("left", {}, {})
    for run in ("left", "gone", "held"):
        with checkpoints.held(run):
            pass
        (folder / f".{run}.lock").touch()
    with checkpoints.held("held"):
        assert checkpoints.unfinished() == ["left"]
        assert sorted(path.name for path in folder.iterdir()) == [".held.lock", ".left.lock", "left.safetensors"]
        with pytest.raises(LibraryError, match="under way"), Checkpoints(tmp_path).held("held"):
            pass
