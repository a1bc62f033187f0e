"""What a family of MELBO-ortho is trained with; its optimisers read it from here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from core.discovery.optimisation import Stepping
from core.errors import SettingsError

STEPS = {"lbfgs": 32, "adam": 1000}


_PENALTY = 1.0


@dataclass(frozen=True)
class Settings(Stepping):
    """`steps` None: 32 for lbfgs, 1000 for adam. `batch`: how many vectors are trained at once; the more, the fewer steps
    each is behind the one before it, and the less settled what it must keep off (docs/performance.md).

    `match`: `tokens` compares the change at every seen token, `mean` their mean, as the published code does (over all
    tokens). `norm`: a fixed norm for every vector, None for none. `norm_penalty`: what is lowered is half the squared loss,
    and so many times ||theta|| and the base's effect; None: 1 for lbfgs, which would otherwise take norms at which random
    vectors write code too (docs/findings.md), 0 for adam, which then lowers the published loss, not squared.
    `start_norm` scales the draws, by lbfgs those of the first vectors only (the others start as long as the last that ended);
    None starts at the draws as they are. The family has ended when the last `batch` vectors do less than `least_match` of
    what the base does, or their norms are below `least_norm` times the base's; a single vector whose norm is, came to nothing.
    """

    gpu_batch: ClassVar[int | None] = 16

    steps: int | None = None
    batch: int = 8
    optimizer: str = "lbfgs"
    learning_rate: float = 0.01
    match: str = "tokens"
    norm: float | None = None
    norm_penalty: float | None = None
    start_norm: float | None = 1.0
    least_match: float = 0.1
    least_norm: float = 0.05

    def __post_init__(self) -> None:
        if self.optimizer not in STEPS:
            raise SettingsError(f"optimizer {self.optimizer!r} is unknown", f"use one of: {', '.join(STEPS)}")
        if self.match not in ("tokens", "mean"):
            raise SettingsError(f"match {self.match!r} is unknown", "use tokens or mean")
        if self.norm is not None and not 0 < self.norm < float("inf"):
            raise SettingsError(f"a fixed norm must be a positive number, not {self.norm:g}")

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
