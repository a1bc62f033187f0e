"""What MELBO can be told; core/discovery/melbo.py runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.discovery.method import Method, Precision, WithObjective
from core.errors import SettingsError
from core.specs import Option

STEPS = {"power": 5, "adamw": 300}


@dataclass(frozen=True)
class Settings(WithObjective):
    """`steps` None: 5 for power, 300 for adamw. `batch`: how many vectors are trained at once.

    `orthogonal`: each vector orthogonal to all before it. `orthogonal_effects`: each maximises only that part of its effect
    at the target which is orthogonal to the effects of all before it.
    """

    steps: int | None = None
    batch: int = 8
    optimizer: Annotated[
        str,
        Option(
            "power: a damped power iteration; adamw: the published loop, step for step",
            about="Power iteration takes a handful of steps. AdamW is the published loop, exactly, and much slower.",
            choices=tuple(STEPS),
            names=("power iteration", "AdamW, as published"),
            advanced=True,
        ),
    ] = "power"
    learning_rate: Annotated[
        float,
        Option(
            "learning rate of adamw",
            label="Learn rate",
            about="AdamW's learning rate.",
            flag="--lr",
            metavar="X",
            above=0,
            when=("optimizer", ("adamw",)),
            advanced=True,
        ),
    ] = 1e-3
    orthogonal: Annotated[
        bool,
        Option(
            "each vector orthogonal to all before it",
            about="Each vector orthogonal to those before it: more variety, smaller effects.",
            names=("no", "to all before"),
            advanced=True,
        ),
    ] = False
    orthogonal_effects: Annotated[
        bool,
        Option(
            "each vector's effect at the target orthogonal to all before",
            label="Effects",
            about="Each vector's effect at the target orthogonal to the effects of those before it. Not with Orthogonal.",
            names=("free", "orthogonal"),
            advanced=True,
        ),
    ] = False
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.orthogonal and self.orthogonal_effects:
            raise SettingsError("either the vectors or their effects can be kept orthogonal, not both", "choose one")

    @property
    def step_count(self) -> int:
        return self.steps or STEPS[self.optimizer]

    @property
    def bears_bfloat16(self) -> bool:
        return self.optimizer == "power"  # adamw would, too, but is there to be exact


METHOD = Method(
    "MELBO trains vectors of norm R that maximise the change of the target block's output.",
    Settings,
    "core.discovery.melbo",
    steps="5 for power, 300 for adamw",
)
