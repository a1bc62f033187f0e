"""What a discovery method says of itself, readable without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, ClassVar

from core.discovery.declarations.general import General
from core.specs import Declared, Option, Setting, check_apart, declared, with_auto

# What a float32 model's matrix products are made in while vectors are looked for; see core/model/mixed_precision.py.
PRECISIONS = ("auto", "float32", "bfloat16")
Precision = Annotated[
    str,
    Option(
        "of matrix products; auto: bfloat16 where it is faster and gives the same",
        about="The precision of matrix products in training. auto: bfloat16 where this machine is faster in it "
        "and the method was measured to find the same.",
        choices=PRECISIONS,
        advanced=True,
    ),
]


@dataclass(frozen=True)
class Stepping(Declared):
    """The settings of every method tell how many steps each vector takes.

    `gpu_batch`: how many vectors a GPU trains at once where that changes the speed alone; None: as many as a CPU does.
    """

    gpu_batch: ClassVar[int | None] = 32

    @property
    def step_count(self) -> int:
        return 1

    @property
    def bears_bfloat16(self) -> bool:
        """Whether the same is found where matrix products are rounded to bfloat16, as was measured (docs/performance.md)."""
        return False

    @property
    def objective(self) -> Mapping[str, Any]:
        """What core/discovery/objective.py's Objective is made with, beside the tokens it sees."""
        return {}


@dataclass(frozen=True, kw_only=True)
class WithObjective(Stepping):
    """The settings of methods that maximise MELBO's objective, or measure it; its shape is the same for all of them."""

    power: Annotated[
        float,
        Option(
            "the objective's inner exponent",
            about="The exponent of each token's norm in the objective. Larger: the token that changes the most counts the "
            "most.",
            metavar="P",
            above=0,
            advanced=True,
        ),
    ] = 2.0
    root: Annotated[
        float,
        Option(
            "the objective's outer root",
            about="The root of the sum over tokens. It changes how prompts weigh against each other, and what steps are worth.",
            metavar="Q",
            above=0,
            advanced=True,
        ),
    ] = 2.0
    norm_axis: Annotated[
        str,
        Option(
            "tokens: as the published code computes it",
            label="Norm axis",
            about="Over what the norm is taken: one a token, or one a feature, as the published code does. Equal for power 2.",
            choices=("features", "tokens"),
            names=("features, one a token", "tokens, as published"),
            advanced=True,
        ),
    ] = "features"

    @property
    def objective(self) -> Mapping[str, Any]:
        return {"power": self.power, "root": self.root, "norm_axis": self.norm_axis}


@dataclass(frozen=True)
class Method:
    """`summary` is for whoever chooses; `settings` is a Stepping whose declared fields (core/specs.py) are the method's
    options.

    `module` has the method's `find(job)`, a generator of events (core/discovery/optimisation.py); it is imported when the
    method is to be run. `needs_radius`: whether one is needed (`auto` where none is given) or only rescales. `searches`:
    whether it compares a target block's output and looks for several vectors, `vectors` of them where nothing is said.
    `steps` is what the help says of their number, empty where there are none to choose.
    """

    summary: str
    settings: type[Stepping]
    module: str
    needs_radius: bool = True
    vectors: int = 16
    steps: str = ""
    searches: bool = True

    def __post_init__(self) -> None:
        check_apart(self.settings, General)

    @property
    def options(self) -> Mapping[str, Setting]:
        """Its own."""
        return declared(self.settings)

    @property
    def general(self) -> Mapping[str, Setting]:
        """Those of every method that mean something to this one; their `default` says what it does by itself."""
        return _fitted(self)

    def load(self) -> Any:
        return importlib.import_module(self.module)


@cache
def _fitted(method: Method) -> Mapping[str, Setting]:
    defaults = {
        "radius": "auto, calibrated" if method.needs_radius else "as trained, not rescaled",
        "vectors": f"{method.vectors}, or all rows of --init",
        "steps": method.steps,
    }
    meant = dict(declared(General))
    if not method.steps:
        del meant["steps"]
    if not method.searches:
        del meant["target"], meant["vectors"]
    return {name: setting if name not in defaults else with_auto(setting, defaults[name]) for name, setting in meant.items()}
