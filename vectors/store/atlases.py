"""Atlases of a model: how strongly a vector is amplified between every two of its blocks. One file each in `atlases/`."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from vectors.files.bounded import MAX_BLOCKS, Between, Label, Prose
from vectors.store.checkpoints import Checkpoint, Checkpoints, T, Tensors
from vectors.store.index import LibraryError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

_VALUES, _NORMS = "values", "residual_norms"


@dataclass(frozen=True)
class _Header:
    """What of an atlas's header is shown."""

    pairs: Annotated[int, Between(0, MAX_BLOCKS**2)]
    model: Label = ""
    prompts: tuple[Prose, ...] = ()


@dataclass(frozen=True)
class Atlas:
    """The top singular values of the Jacobian from each source block's output to each target block's.

    `values` [blocks, blocks, top] float32 holds them by source and target, NaN where there is none (yet).
    `residual_norms` [blocks] are the medians over the prompt's positions. `header` says what was asked of which model;
    `state` is what the task that fills the atlas needs to go on.
    """

    id: str
    header: Mapping[str, Any]
    values: npt.NDArray[np.float32]
    residual_norms: npt.NDArray[np.float32]
    state: Tensors

    def told(self, kind: type[T]) -> T:
        """The header, or as much of it as the dataclass `kind` has fields for. Raises LibraryError where it is none."""
        return Checkpoint(self.id, self.header, {}).told(kind)

    @property
    def model(self) -> str:
        return self._told.model

    @property
    def prompts(self) -> tuple[str, ...]:
        return self._told.prompts

    @property
    def pairs(self) -> int:
        """How many it has when it is complete."""
        return self._told.pairs

    @property
    def _told(self) -> _Header:
        return self.told(_Header)

    @property
    def gains(self) -> npt.NDArray[np.float32]:
        """The top singular value of each pair [blocks, blocks] for sizes relative to the residual stream's own.

        2: a vector of 1% of the stream's norm at the source becomes a change of 2% of it at the target. Without this, late
        targets would always win, because the stream grows with depth.
        """
        gains: npt.NDArray[np.float32] = self.values[..., 0] * self.residual_norms[:, None] / self.residual_norms[None]
        return gains

    @property
    def pairs_done(self) -> int:
        return int(np.isfinite(self.values[..., 0]).sum())

    @property
    def complete(self) -> bool:
        return self.pairs_done == self.pairs


class Atlases:
    """The atlases of the library in `folder`. Every method raises LibraryError with one clear line."""

    def __init__(self, folder: Path) -> None:
        self._files = Checkpoints(folder, "atlases")

    def held(self, atlas: str) -> AbstractContextManager[None]:
        """While it lasts no other process goes on with the atlas. Raises LibraryError where one does already."""
        return self._files.held(atlas)

    def save(self, atlas: Atlas) -> None:
        tensors = {_VALUES: atlas.values, _NORMS: atlas.residual_norms, **atlas.state}
        self._files.save(atlas.id, atlas.header, tensors)

    def load(self, atlas: str) -> Atlas:
        file = self._files.load(atlas)
        state = dict(file.tensors)
        values, norms = state.pop(_VALUES, None), state.pop(_NORMS, None)
        if values is None or norms is None or norms.ndim != 1 or values.ndim != 3 or not values.size:
            raise LibraryError(f"{atlas}: holds no atlas")
        if values.shape[:2] != (len(norms), len(norms)) or {values.dtype, norms.dtype} != {np.dtype(np.float32)}:
            raise LibraryError(f"{atlas}: holds no atlas, or a damaged one")
        file.told(_Header)
        return Atlas(atlas, file.header, values, norms, state)

    def ids(self) -> list[str]:
        """The latest last."""
        return self._files.unfinished()

    def latest(self, complete: bool | None = None) -> Atlas:
        """The latest atlas, or the latest that is `complete`, or that is not. Raises LibraryError where there is none."""
        for id in reversed(self.ids()):
            with contextlib.suppress(LibraryError):  # one that is damaged hides no other
                atlas = self.load(id)
                if complete is None or atlas.complete == complete:
                    return atlas
        raise LibraryError("there is no " + {None: "", True: "complete ", False: "unfinished "}[complete] + "atlas")
