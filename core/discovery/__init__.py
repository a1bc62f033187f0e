"""Discovery methods: one file a method, one line in METHODS. What they share stands beside them.

A method's file has `Settings`, a dataclass whose fields are the method's options, and `find(job)`, a generator of climb
events. Nothing here needs torch: `load` imports a method's file when it is to be run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from core.discovery.options import OF_THE_OBJECTIVE


@dataclass(frozen=True)
class Method:
    """`summary` is for whoever chooses. `radius`: whether one is needed (`auto` where none is given) or only rescales.

    `vectors` is how many are looked for where nothing is said, `steps` what the help says of them, `optimizers` the choice.
    """

    module: str
    summary: str
    options: tuple[str, ...] = ()
    needs_radius: bool = True
    vectors: int = 16
    steps: str = ""
    optimizers: tuple[str, ...] = ()

    def load(self) -> Any:
        return importlib.import_module(self.module)


_OBJECTIVE = OF_THE_OBJECTIVE
_FAMILY_ENDS = ("least_match", "least_norm")
METHODS = {
    "melbo": Method(
        "core.discovery.melbo",
        "MELBO looks for pushes of one fixed size that change what the model does the most.",
        ("optimizer", "learning_rate", "orthogonal", "orthogonal_effects", "precision", *_OBJECTIVE),
        steps="5 for power, 300 for adamw",
        optimizers=("power", "adamw"),
    ),
    "ortho": Method(
        "core.discovery.ortho",
        "MELBO-ortho grows a family from a base vector: each does the same, orthogonal to all before it.",
        ("base", "optimizer", "learning_rate", "match", "norm", "norm_penalty", "start_norm", *_FAMILY_ENDS, "precision"),
        needs_radius=False,
        vectors=32,
        steps="32 for lbfgs, 1000 for adam",
        optimizers=("lbfgs", "adam"),
    ),
    "power-steering": Method(
        "core.discovery.power_steering",
        "Power steering takes the directions that the blocks amplify the most, all at once and in order.",
        steps="12 iterations",
    ),
    "dct": Method(
        "core.discovery.dct",
        "DCT finds hundreds of factors at once, and ranks them.",
        vectors=64,
        steps="10 iterations",
    ),
    "contrast": Method(
        "core.discovery.contrast",
        "A contrast is the difference of means between two sets of prompts; it can choose the refusal direction.",
        ("positive", "negative", "position", "select", "positions"),
        needs_radius=False,
        vectors=1,
    ),
    "random": Method("core.discovery.random", "Random pushes of the same size: the control.", _OBJECTIVE),
}
