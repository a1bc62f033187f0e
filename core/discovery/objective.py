"""What discovery climbs: how much the target block's output changes on the prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.errors import SettingsError
from core.segment import Segment

_TINY = 1e-30  # keeps the gradient of a power of a norm finite where nothing has changed yet


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

    def __call__(self, change: Tensor) -> Tensor:
        """The objective [batch] of `change` [batch, tokens, d_model]."""
        if self.tokens is not None:
            change = change[:, -self.tokens :]
        squares = change.square().sum(dim=-1 if self.norm_axis == "features" else 1)
        if self.power != 2:
            squares = squares.clamp_min(_TINY) ** (self.power / 2)
        total = squares.sum(dim=-1)
        return total if self.root == 1 else total.clamp_min(_TINY) ** (1 / self.root)


class Problem:
    """An objective on one or more prompts: the sum over prompts is climbed."""

    def __init__(self, segments: Sequence[Segment], objective: Objective) -> None:
        self.segments = segments
        self.objective = objective

    @property
    def device(self) -> torch.device:
        return self.segments[0].base.device

    def values(self, thetas: Tensor) -> Tensor:
        """The objective of each theta on each prompt, [prompts, batch]; differentiable."""
        return torch.stack([self.objective(segment.change(thetas)) for segment in self.segments])

    def values_and_gradient(self, thetas: Tensor) -> tuple[Tensor, Tensor]:
        """Values [prompts, batch] and the gradient [batch, d_model] of their sum over prompts; one prompt at a time."""
        values, gradient = [], torch.zeros_like(thetas)
        for segment in self.segments:
            with torch.enable_grad():
                leaf = thetas.detach().requires_grad_()
                value = self.objective(segment.change(leaf))
                gradient += torch.autograd.grad(value.sum(), leaf)[0]
            values.append(value.detach())
        return torch.stack(values), gradient

    def dominant_token(self) -> tuple[int, float] | None:
        """(position, share of the squared activations) of a seen token that outweighs all other seen ones, if there is one."""
        for segment in self.segments:
            seen = segment.base if self.objective.tokens is None else segment.base[-self.objective.tokens :]
            squares = seen.square().sum(dim=-1)
            share = float(squares.max() / squares.sum())
            if len(squares) > 2 and share > 0.9:
                return int(squares.argmax()) + segment.tokens - len(seen), share
        return None
