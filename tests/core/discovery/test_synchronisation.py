"""A training step never waits for the device: nothing in it asks for a number, or for a shape that depends on one.

On a GPU each such question empties the queue of kernels. They can be seen on a CPU too, as operations.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from core import discovery
from core.discovery import dct, melbo, ortho, power_steering
from core.discovery.declarations.power_steering import Settings as PowerSteering
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Event, Job, Step
from core.model.language_model import LanguageModel
from core.segment.segment import Segment

_DISCOVERY = os.path.join(os.path.dirname(discovery.__file__), "")
_ASKS = ("_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


class _Asked(TorchDispatchMode):
    """Notes where a step asks for a value of the device. Whole numbers are counters, which live on the CPU."""

    def __init__(self) -> None:
        super().__init__()
        self.places: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        masks = [i for i in args[1] if i is not None and i.dtype == torch.bool] if "index.Tensor" in str(func) else []
        if masks or (any(word in str(func) for word in _ASKS) and args[0].dtype != torch.long):
            frames = list(_frames())
            if any(frame.f_code.co_name == "advance" for frame in frames):
                at = next(frame for frame in frames if frame.f_code.co_filename.startswith(_DISCOVERY))
                self.places.add(f"{at.f_code.co_qualname}, line {at.f_lineno}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        (melbo, melbo.Settings(4, 3)),
        (melbo, melbo.Settings(4, 3, orthogonal=True)),
        (ortho, ortho.Settings(24, 3, least_match=-1e9)),
        (power_steering, PowerSteering(4)),
        (dct, dct.Settings(4)),
    ],
)
def test_a_step_asks_the_device_for_nothing(tiny: LanguageModel, method: Any, settings: Any) -> None:
    width = tiny.d_model
    draws = torch.randn(4, width, generator=torch.Generator().manual_seed(0))
    problem = Problem([Segment(tiny, list(range(5, 25)), 1, 4)], Objective(tokens=6))
    events: list[Event] = []
    asked = _Asked()
    with asked:
        for event in method.find(Job(problem, draws, settings, tiny, 3.0, base=3 * draws[0])):
            events.append(event)
    assert sum(isinstance(event, Step) for event in events) >= 4
    letting_out = {place for place in asked.places if "_let_out" in place or "extend" in place}
    assert asked.places - letting_out == set()
