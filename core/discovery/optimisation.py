"""What every method is made of: batches of vectors that are trained step by step, and can be saved and resumed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from core.discovery.objective import Problem
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.prompt import Prompt

_OPTIMIZER = "optimizer."


@dataclass(frozen=True)
class Step:
    """Rows first..first+n of the run after step `step` of `steps`: objective, gradient norm and norm of each, [n].

    `steps_of_rows` says at which step each is, where they differ. The rest are tensors, still on the device: to read them is
    to wait for it, so that is left to whoever shows them.
    """

    first: int
    step: int
    steps: int
    objective: Tensor
    gradient_norm: Tensor
    norm: Tensor
    steps_of_rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Found:
    """Finished vectors: rows first..first+n [n, d_model], their objective [n] and the losses on the way [n, steps].

    `facts` holds what else the method knows of each, [n], by name. A row whose objective is not finite, or whose norm is zero,
    came to nothing.
    """

    first: int
    vectors: Tensor
    objective: Tensor
    losses: Tensor
    facts: Mapping[str, Tensor] = field(default_factory=dict)

    def cause(self, row: int) -> str:
        """Why row `row` came to nothing; empty where it did not."""
        if not bool(self.vectors[row].any()):
            return "nothing was left of it: its norm fell to zero"
        if bool(self.objective[row].isfinite()) and bool(self.vectors[row].isfinite().all()):
            return ""
        wrong = (~self.losses[row].isfinite()).nonzero()
        when = f" at step {int(wrong[0]) + 1}" if len(wrong) else ""
        return f"its loss was no finite number{when}: the vector is too large for the model's {self.vectors.dtype} numbers"


@dataclass(frozen=True)
class Ended:
    """The method stopped before it had made all that was asked for, and why."""

    reason: str


Event = Step | Found | Ended


class Optimisation(ABC):
    """A batch in training, saved by `state` and resumed by `restore`."""

    state_names: ClassVar[tuple[str, ...]]
    rows_vary: ClassVar[bool] = False  # whether the state's tensors have other rows as it goes on
    first: int
    steps: int

    @property
    @abstractmethod
    def over(self) -> bool:
        """Whether there is no step left to make."""

    @abstractmethod
    def advance(self) -> Step:
        """Makes one step. Must not wait for the device."""

    @abstractmethod
    def finished(self) -> Found | None:
        """Vectors that have come to their end and were not handed over yet; asked for after every step."""

    def state(self) -> dict[str, Tensor]:
        """All that `restore` needs to resume exactly, on the CPU: the tensors in `state_names`."""
        return {name: getattr(self, name).detach().cpu().clone() for name in self.state_names}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resumes from `state`. Raises SettingsError where that is not a state of this batch."""
        with torch.no_grad():
            for name in self.state_names:
                now: Tensor = getattr(self, name)
                if now.requires_grad:  # an optimizer holds this very tensor
                    now.copy_(fitting(state, name, now))
                else:
                    setattr(self, name, fitting(state, name, now, self.rows_vary).to(now.device))


def fitting(state: Mapping[str, Tensor], name: str, now: Tensor, rows_vary: bool = False) -> Tensor:
    """The tensor `name` of a state that was kept, to take the place of `now`. Raises SettingsError where it cannot."""
    kept = state.get(name)
    if kept is not None and kept.dtype == now.dtype:
        if now.ndim == 0 and kept.numel() == 1:
            return kept.reshape(())  # a file's tensors have one dimension at least
        if kept.shape == now.shape or (rows_vary and kept.ndim == now.ndim and kept.shape[1:] == now.shape[1:]):
            return kept
    raise SettingsError(f"the interrupted run's state does not fit it ({name})", "start it anew")


class Batch(Optimisation):
    """A batch of vectors from its first step to its last, all in step.

    Its state is also `step`, and what `optimizer`, where it has one, keeps of one tensor.
    """

    def __init__(self, first: int, steps: int) -> None:
        self.first, self.steps = first, steps
        self.step = 0
        self.optimizer: torch.optim.Optimizer | None = None

    @abstractmethod
    def found(self) -> Found:
        """The vectors after the last step."""

    @property
    def over(self) -> bool:
        return self.step >= self.steps

    def finished(self) -> Found | None:
        return self.found() if self.over else None

    def state(self) -> dict[str, Tensor]:
        kept = super().state()
        if self.optimizer is not None:
            moments = self.optimizer.state_dict()["state"].get(0, {})
            kept |= {_OPTIMIZER + name: torch.as_tensor(value).cpu().clone() for name, value in moments.items()}
        return kept | {"step": torch.tensor(self.step)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        super().restore(state)
        if self.optimizer is not None:
            moments = {name.removeprefix(_OPTIMIZER): t for name, t in state.items() if name.startswith(_OPTIMIZER)}
            shapes = {group.shape for one in self.optimizer.param_groups for group in one["params"]}
            if any(moment.numel() != 1 and moment.shape not in shapes for moment in moments.values()):
                raise SettingsError("the interrupted run's optimizer does not fit it", "start it anew")
            groups = self.optimizer.state_dict()["param_groups"]
            self.optimizer.load_state_dict({"state": {0: moments} if moments else {}, "param_groups": groups})
        self.step = int(fitting(state, "step", torch.tensor(0)))
        if not 0 <= self.step <= self.steps:
            raise SettingsError(f"the interrupted run cannot have made {self.step} of {self.steps} steps", "start it anew")


@dataclass
class Job:
    """What a method is given, and how far it has come.

    `draws` [n, d_model] are the raw starting draws, a vector each; the first `done` of them are finished, and `earlier`
    [done, d_model] came out of them, zero where nothing did. `base` is the base vector of an orthogonal family. `left` is
    the state of the batch at `done` as a checkpoint kept it; `live` is the batch under way. Further prompts of the method's
    own are asked as `like` is.
    """

    problem: Problem
    draws: Tensor
    settings: Any
    model: LanguageModel
    radius: float | None = None
    base: Tensor | None = None
    done: int = 0
    earlier: Tensor = field(default_factory=lambda: torch.zeros(0, 0))
    left: Mapping[str, Tensor] | None = None
    live: Optimisation | None = None
    like: Prompt = field(default_factory=lambda: Prompt("prompt"))

    def __post_init__(self) -> None:
        self.draws = self.draws.to(self.problem.device, torch.float32)
        rows = self.earlier if len(self.earlier) else self.draws[:0]
        self.earlier = rows.to(self.draws)

    def run(self, optimisation: Optimisation) -> Generator[Event, None, None]:
        """Takes `optimisation` to its end, from where a checkpoint left it."""
        if self.left is not None:
            optimisation.restore(self.left)
            self.left = None
        self.live = optimisation
        while True:
            found = optimisation.finished()
            if optimisation.over:
                self.live = None
            if found is not None:
                self.done = found.first + len(found.vectors)
                good = [not found.cause(row) for row in range(len(found.vectors))]
                self.earlier = torch.cat([self.earlier, found.vectors.where(self.draws.new_tensor(good).bool()[:, None], 0.0)])
                yield found
            if optimisation.over:
                return
            yield optimisation.advance()


def in_batches(job: Job, size: int, begin: Callable[[int, Tensor], Batch]) -> Generator[Event, None, None]:
    """`begin(first, draws)` for `size` draws after another, each batch to its end."""
    while job.done < len(job.draws):
        yield from job.run(begin(job.done, job.draws[job.done : job.done + size]))
