"""What a task comes to, for whoever runs it in a thread of their own: returned, not published, for it has arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.engine.events import Event
from vectors.vector import SteeringVector, called

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Trained(Event):
    """A training run that is done: `vectors` of run `run`, and `losses` [len(vectors), steps], the loss before each step.

    With a library the vectors have the ids and names under which they are in it; without one they have no ids. `losses` is None
    where there are no vectors.
    """

    run: str
    vectors: tuple[SteeringVector, ...]
    losses: npt.NDArray[np.float32] | None

    def __repr__(self) -> str:
        names = [called(vector) for vector in self.vectors]
        listed = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        steps = 0 if self.losses is None else self.losses.shape[1]
        return f"<Trained: run {self.run}, {len(names)} vectors ({listed}), {steps} steps>"
