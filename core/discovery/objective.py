"""The objective that discovery methods maximise: how much the target block's output changes on the prompts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor

from core.errors import SettingsError
from core.memory.halving import RowsAtOnce
from core.model.cuda_graph import Recorded, Work
from core.segment.segment import Segment

T = TypeVar("T")
_MOST_RECORDED = 6  # each keeps the activations of its shape
_TINY = 1e-30  # keeps the gradient of a power of a norm finite where nothing has changed yet

# A value [batch] for the change [batch, seen tokens, d_model] that `rows` of the thetas make on prompt number `prompt`.
Measure = Callable[[Tensor, int, slice], Tensor]


@dataclass(frozen=True)
class Objective:
    """(sum over tokens of ||D_t||^power)^(1/root) for the change D [tokens, d_model]; MELBO's, as its post writes it.

    `norm_axis` features: the norms are over d_model, one a token. tokens: over the tokens, one a feature, as the
    published code computes it; the two are equal for power 2. `tokens` is how many of the prompt's last tokens are
    seen, None for all. By default the last ones: the first token of a prompt is an attention sink in most models, whose
    massive activations would swallow all the others'.
    """

    power: float = 2.0
    root: float = 2.0
    norm_axis: str = "features"
    tokens: int | None = 6

    def __post_init__(self) -> None:
        if self.norm_axis not in ("features", "tokens"):
            raise SettingsError(f"norm axis {self.norm_axis!r} is unknown", "use features or tokens")
        if not (self.power > 0 and self.root > 0):
            raise SettingsError("power and root must be positive")
        if self.tokens is not None and self.tokens < 1:
            raise SettingsError("the objective must see at least one token", "use all or last:K with K >= 1")

    def seen(self, change: Tensor) -> Tensor:
        """The part of `change` [batch, tokens, d_model] that counts."""
        return change if self.tokens is None else change[:, -self.tokens :]

    def __call__(self, change: Tensor) -> Tensor:
        """The objective [batch] of `change` [batch, tokens, d_model]."""
        squares = self.seen(change).square().sum(dim=-1 if self.norm_axis == "features" else 1)
        if self.power != 2:
            squares = squares.clamp_min(_TINY) ** (self.power / 2)
        total = squares.sum(dim=-1)
        return total if self.root == 1 else total.clamp_min(_TINY) ** (1 / self.root)


class Problem:
    """An objective on one or more prompts; methods maximise its sum over prompts.

    At most `most_rows` thetas run through the blocks at once; where memory runs out, that is halved, `on_shrink` is called
    with the new number, and the work goes on. The results do not depend on it. On a GPU, work of a shape that comes
    again is recorded as a CUDA graph.
    """

    def __init__(
        self,
        segments: Sequence[Segment],
        objective: Objective,
        most_rows: int = 64,
        on_shrink: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self.segments = [segment.watched(objective.tokens) for segment in segments]
        self.objective = objective
        self._on_shrink = on_shrink
        self._recorded: OrderedDict[tuple[str, int, int], Recorded] = OrderedDict()
        self._rows = self._at_most(most_rows)

    def in_precision(self, precision: str) -> Problem:
        """The same problem with its matrix products in `precision`, on the prompts whose segments bear that.

        bfloat16 rounds those of a float32 model; float32 makes those of a model in half precision exact, which derivatives and
        small differences need.
        """
        problem = copy(self)
        problem._recorded = OrderedDict()
        if precision == "bfloat16":
            problem.segments = [segment.rounded() for segment in self.segments]
        elif precision == "float32":
            problem.segments = [segment.in_float32() for segment in self.segments]
        problem._rows = problem._at_most(self.most_rows)
        return problem

    def _at_most(self, rows: int) -> RowsAtOnce:
        recorded, segments = self._recorded, self.segments  # not the problem: a GPU's memory must not wait for the collector

        def relieve() -> None:
            recorded.clear()
            for segment in segments:
                segment.free()

        return RowsAtOnce(rows, self._on_shrink, relieve)

    @property
    def most_rows(self) -> int:
        return self._rows.most

    @property
    def device(self) -> torch.device:
        return self.segments[0].base.device

    def changes(self, thetas: Tensor) -> list[Tensor]:
        """For each prompt the seen change [batch, seen tokens, d_model], without gradients."""

        def change(prompt: int, rows: slice) -> Tensor:
            segment = self.segments[prompt]  # what is recorded must not hold on to this problem, which holds the recordings

            def forward(some: Tensor) -> tuple[Tensor]:
                with torch.no_grad():
                    return (segment.change(some),)

            return self._run("change", prompt, thetas[rows], forward)[0]

        return [torch.cat(self._rows.run(len(thetas), partial(change, prompt))) for prompt in range(len(self.segments))]

    def values(self, thetas: Tensor) -> Tensor:
        """The objective of each theta on each prompt, [prompts, batch]."""
        return torch.stack([self.objective(change) for change in self.changes(thetas)])

    def measured(self, measure: Measure, thetas: Tensor) -> Tensor:
        """The values [prompts, batch] of `measure` without gradients."""
        everything = slice(0, len(thetas))
        return torch.stack([measure(change, prompt, everything) for prompt, change in enumerate(self.changes(thetas))])

    def values_and_gradient(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Values [prompts, batch] and the gradient [batch, d_model] of their sum over prompts."""
        objective = self.objective
        return self.differentiate(lambda change, prompt, rows: objective(change), thetas, "objective")

    def differentiate(self, measure: Measure, thetas: Tensor, name: str = "") -> tuple[Tensor, Tensor]:
        """Values [prompts, batch] of `measure` and the gradient [batch, d_model] of their sum over prompts.

        One prompt at a time, so that memory does not grow with their number. A measure of `name` depends on the change and the
        prompt alone, so that it may be recorded.
        """

        def one(prompt: int, rows: slice) -> Sequence[Tensor]:
            segment = self.segments[prompt]

            def both(some: Tensor) -> tuple[Tensor, Tensor]:
                with torch.enable_grad():
                    leaf = some.detach().requires_grad_()
                    value = measure(segment.change(leaf), prompt, rows)
                    return value.detach(), torch.autograd.grad(value.sum(), leaf)[0]

            return self._run(name, prompt, thetas[rows], both)

        values, gradient = [], torch.zeros_like(thetas)
        for prompt in range(len(self.segments)):
            parts = self._rows.run(len(thetas), partial(one, prompt))
            values.append(torch.cat([value for value, _ in parts]))
            gradient += torch.cat([part for _, part in parts])
        return torch.stack(values), gradient

    def _run(self, name: str, prompt: int, thetas: Tensor, work: Work) -> Sequence[Tensor]:
        """`work` on `thetas`, from its recording where there can be one; work without a name has none."""
        if not name or not self.segments[prompt].recordable:
            return work(thetas)
        key = name, prompt, len(thetas)
        if key not in self._recorded:
            self._recorded[key] = Recorded(work, self.segments[prompt].dtype, thetas.device)
            while len(self._recorded) > _MOST_RECORDED:
                self._recorded.popitem(last=False)
        self._recorded.move_to_end(key)
        return self._recorded[key](thetas)

    def dominant_token(self) -> tuple[int, float] | None:
        """(position, share of the squared activations) of a seen token that outweighs all other seen ones, if there is one."""
        for segment in self.segments:
            seen = segment.base if self.objective.tokens is None else segment.base[-self.objective.tokens :]
            squares = seen.square().sum(dim=-1)
            share = float(squares.max() / squares.sum())
            if len(squares) > 2 and share > 0.9:
                return int(squares.argmax()) + segment.tokens - len(seen), share
        return None
