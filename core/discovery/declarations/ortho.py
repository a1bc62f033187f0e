"""What a family of MELBO-ortho can be told; core/discovery/ortho.py trains it, and its optimisers read the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from core.discovery.method import Method, Precision, Stepping
from core.specs import Option

STEPS = {"lbfgs": 32, "adam": 1000}
_PENALTY = 1.0


@dataclass(frozen=True)
class Settings(Stepping):
    """`steps` None: 32 for lbfgs, 1000 for adam. `batch`: how many vectors are trained at once; the more, the fewer steps
    each is behind the one before it, and the less settled what it must keep off (docs/performance.md).

    `match`: `tokens` compares the change at every seen token, `mean` their mean, as the published code does (over all
    tokens). `norm`: a fixed norm for every vector, None for none. `norm_penalty`: what is minimised is half the squared loss,
    and so many times ||theta|| and the base's effect; None: 1 for lbfgs, which would otherwise take norms at which random
    vectors write code too (docs/findings.md), 0 for adam, which then lowers the published loss, not squared.
    `start_norm` scales the draws, by lbfgs those of the first vectors only (the others start as long as the last that ended);
    None starts at the draws as they are. The family has ended when the last `batch` vectors do less than `least_match` of
    what the base does, or their norms are below `least_norm` times the base's; a single vector whose norm is, came to nothing.
    """

    gpu_batch: ClassVar[int | None] = 16

    steps: int | None = None
    batch: int = 8
    optimizer: Annotated[
        str,
        Option(
            "lbfgs: many vectors in one batch; adam: the published loop with --batch 1",
            about="L-BFGS trains many vectors at once in tens of steps. Adam is the published loop when one vector is trained "
            "after another, and much slower.",
            choices=tuple(STEPS),
            names=("L-BFGS, staggered", "Adam, as published"),
            advanced=True,
        ),
    ] = "lbfgs"
    learning_rate: Annotated[
        float,
        Option(
            "learning rate of adam",
            label="Learn rate",
            about="Adam's learning rate.",
            flag="--lr",
            metavar="X",
            above=0,
            when=("optimizer", ("adam",)),
            advanced=True,
        ),
    ] = 0.01
    match: Annotated[
        str,
        Option(
            "compare every seen token, or their mean as published",
            about="What must equal the base's: the change at every token that the objective sees, or their mean.",
            choices=("tokens", "mean"),
            names=("every token", "their mean, as published"),
            advanced=True,
        ),
    ] = "tokens"
    norm: Annotated[
        float | None,
        Option(
            "hold every vector at this norm",
            about="A norm at which every vector is held. auto: none, each takes the norm that it needs.",
            metavar="X",
            default="free",
            above=0,
            advanced=True,
        ),
    ] = None
    norm_penalty: Annotated[
        float | None,
        Option(
            "weight of the norm in the loss",
            label="Penalty",
            about="The weight of the norm in the loss. Smaller: more vectors, of larger norm; at 0 random "
            "vectors of their norm act too, and the family proves less. auto: 1 for L-BFGS, 0 for Adam.",
            metavar="X",
            default="1, 0 for adam",
            low=0,
            advanced=True,
        ),
    ] = None
    start_norm: Annotated[
        float | None,
        Option(
            "the norm of the random start",
            label="Start norm",
            about="The norm of the first vectors' random starts; later ones start at the norm of the last that ended. "
            "auto: as they are drawn.",
            metavar="X",
            default="1, then the last vector's",
            above=0,
            advanced=True,
        ),
    ] = 1.0
    least_match: Annotated[
        float,
        Option(
            "a batch below this share of the base's effect ends the family",
            label="Ends below",
            about="The share of the base's effect below which a batch of vectors ends the family.",
            metavar="X",
            advanced=True,
        ),
    ] = 0.1
    least_norm: Annotated[
        float,
        Option(
            "a batch below this share of the base's norm ends the family",
            label="Least norm",
            about="The share of the base's norm below which the norms of a batch end the family.",
            metavar="X",
            low=0,
            advanced=True,
        ),
    ] = 0.05
    base: Annotated[
        str,
        Option(
            "the base vector's name or id; the family is orthogonal to it",
            about="The vector whose change at the target each new one makes, orthogonal to it and all before. "
            "f on a vector puts it here.",
            metavar="VECTOR",
            required="an orthogonal family needs its base vector",
            vector=True,
        ),
    ] = ""
    precision: Precision = "auto"

    @property
    def penalty(self) -> float:
        if self.norm_penalty is not None:
            return self.norm_penalty
        return _PENALTY if self.optimizer == "lbfgs" else 0.0

    @property
    def step_count(self) -> int:
        return self.steps or STEPS[self.optimizer]

    @property
    def bears_bfloat16(self) -> bool:
        return self.optimizer == "lbfgs"


METHOD = Method(
    "MELBO-ortho trains a family off a base vector: each makes its change at the target, orthogonal to all before.",
    Settings,
    "core.discovery.ortho",
    needs_radius=False,
    vectors=32,
    steps="32 for lbfgs, 1000 for adam",
)
