"""The vectors of one run: kept in the library, and copied to the file that was asked for, as far as the disk takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import torch

from core.discovery.optimisation import Found, Job
from core.engine.events import VectorFound
from core.engine.out_file import OutFile
from core.engine.tasks.run_setup import draw_of
from core.engine.tasks.saving import Saving
from core.engine.unfinished import RunHeader
from core.errors import SettingsError
from vectors.plain_text import natural
from vectors.store.checkpoints import Checkpoint
from vectors.store.library import Library
from vectors.vector import Origin, SteeringVector

Losses = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _New:
    """What is told of a vector once it is saved: the draw it came from, its objective and what else is known of it."""

    draw: int
    objective: float
    facts: tuple[tuple[str, float], ...]


@dataclass
class RunVectors:
    """The vectors of the run `run`, called `stem`-NN from `first_number` on, with the losses [steps] of each.

    `failed` says why draws came to nothing, or were left out. `saving` and `copying` hold why the library, or the file, did not
    take the vectors last time; until they do, the vectors stay here.
    """

    run: str
    stem: str
    library: Library | None
    out: OutFile | None
    saving: Saving
    copying: Saving
    first_number: int
    vectors: list[SteeringVector] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    _losses: list[Losses] = field(default_factory=list)
    _untold: list[_New] = field(default_factory=list)  # of the last of the vectors
    _saved: int = 0  # so many of the vectors are in the library
    _copied: int = 0  # and so many in the file

    @property
    def losses(self) -> Losses | None:
        """[vectors, steps]; None where there is no vector."""
        return np.concatenate(self._losses) if self._losses else None

    @property
    def untold(self) -> bool:
        """Whether there are vectors that `told` has not given."""
        return bool(self._untold)

    def add(
        self, found: Found, facts: dict[str, torch.Tensor], origin: Origin, left_out: Mapping[int, str]
    ) -> list[tuple[int, str]]:
        """Takes in what a method has found, [n, d_model], with `facts` [n] about each; gives the draws that failed, and why.

        The draws `left_out` are not kept, and are noted with the reason as failed ones are.
        """
        losses, objective, vectors = found.losses.detach().cpu().numpy(), found.objective.tolist(), found.vectors.detach().cpu()
        failed = []
        for row in range(len(vectors)):
            draw, known = found.first + row, {name: float(values[row]) for name, values in facts.items()}
            if cause := found.cause(row):
                self.failed[draw] = cause
                failed.append((draw, cause))
                continue
            if draw in left_out:
                self.failed[draw] = left_out[draw]
                continue
            block = int(known.get("block", origin.source))
            own = replace(origin, source=block, loss=-objective[row], settings={**origin.settings, **known, "draw": draw})
            name = f"{self.stem}-{self.first_number + draw:02d}"
            self.vectors.append(SteeringVector(vectors[row].numpy(), block, own, name))
            self._losses.append(losses[row : row + 1])
            self._untold.append(_New(draw, objective[row], tuple(known.items())))
        return failed

    def restore(self, job: Job, left: Checkpoint, header: RunHeader, origin: Origin) -> list[_New]:
        """Brings back the vectors of an interrupted run, and the state of the batch it was at; gives what is told of each.

        Raises SettingsError where the run cannot have left that.
        """
        assert self.library is not None
        if header.done > len(job.draws):
            wrong = f"run {left.run} cannot have finished {header.done} of {len(job.draws)} vectors"
            raise SettingsError(wrong, "start it anew")
        job.done = header.done
        vectors, losses = self.library.run(self.run)
        # A run killed between saving vectors and noting so trains them once more, to the same.
        drawn = [(place, draw) for place, vector in enumerate(vectors) if (draw := draw_of(vector)) < job.done]
        self.vectors = [vectors[place] for place, _ in drawn]
        self._losses = [losses[[place for place, _ in drawn]]] if losses is not None and drawn else []
        self.failed = {number: cause for i, cause in header.failed.items() if (number := natural(i)) is not None}
        self.first_number = header.first_number
        if left.tensors:
            job.left = {name: torch.from_numpy(array) for name, array in left.tensors.items()}
        job.earlier = torch.zeros_like(job.draws[: job.done])
        settings_of_all = origin.settings.keys() | {"draw"}
        told = []
        for (_, draw), vector in zip(drawn, self.vectors, strict=True):
            job.earlier[draw] = torch.tensor(vector.direction)
            settings = vector.origin.settings.items()
            facts = tuple((name, fact) for name, fact in settings if isinstance(fact, float) and name not in settings_of_all)
            told.append(_New(draw, -(vector.origin.loss or 0.0), facts))
        return told

    def told(self) -> list[tuple[_New, SteeringVector]]:
        """The vectors that were saved since the last call, for whoever tells of them; none while they cannot be saved."""
        if self.saving.trouble is not None:
            return []
        untold, self._untold = self._untold, []
        return list(zip(untold, self.vectors[len(self.vectors) - len(untold) :], strict=True))

    def save(self) -> None:
        """Saves the vectors where there are new ones. Raises LibraryError."""
        if not self._untold or self._saved == len(self.vectors):
            return
        if self.library is not None:
            self.vectors = self.library.save_run(self.run, self.vectors, np.concatenate(self._losses))
        self._saved = len(self.vectors)

    def copy_out(self) -> None:
        """Writes the vectors to the file that was asked for. Raises VectorError."""
        if self.out is not None and self._copied != len(self.vectors):
            self.out.write(self.vectors, np.concatenate(self._losses))
        self._copied = len(self.vectors)


def announcement(task: int, new: _New, vector: SteeringVector) -> VectorFound:
    """The event that tells of a vector that is saved."""
    return VectorFound(task, new.draw, vector.id, vector.name, new.objective, vector.norm, new.facts)


def median_norm(vectors: Sequence[SteeringVector]) -> float:
    return float(np.median([vector.norm for vector in vectors]))
