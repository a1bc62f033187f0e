"""Decoder blocks called again, for a batch of thetas, with the arguments that one forward called them with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from core.model.blocks import hidden_of
from core.model.float32_arithmetic import float32_arithmetic, float32_weights
from core.model.language_model import LanguageModel
from core.steering.hooks import recorded

Call = tuple[nn.Module, tuple[Any, ...], dict[str, Any]]


@dataclass(frozen=True)
class Replay:
    """Blocks source+1..target on one prompt: how each was called, and what block source and each of them put out.

    `outputs` are these [1, tokens, d_model], without steering, one more than there are `calls`: in the model's dtype, or in
    float32 where `exact`, when its half-precision blocks are run in float32 arithmetic.
    """

    outputs: tuple[Tensor, ...]
    calls: tuple[Call, ...]
    exact: bool = False

    @property
    def residual(self) -> Tensor:
        """Block source's output [1, tokens, d_model], to which the thetas are added."""
        return self.outputs[0]

    @property
    def base(self) -> Tensor:
        """Block target's output without steering, [tokens, d_model] in float32."""
        return self.outputs[-1][0].float()

    def part(self, first: int, last: int) -> Replay:
        """The same from the `first` of these outputs to the `last`."""
        return Replay(self.outputs[first : last + 1], self.calls[first:last], self.exact)

    def __call__(self, thetas: Tensor) -> Tensor:
        """Block target's output [batch, tokens, d_model] under `thetas` [batch, d_model] at block source; differentiable."""
        hidden = self.residual + thetas[:, None].to(self.residual.device, self.residual.dtype)
        for call in self.calls:
            with float32_weights(call[0]) if self.exact else nullcontext():
                hidden = _called(call, hidden)
        return hidden


def record(model: LanguageModel, ids: Sequence[int], source: int, target: int, exact: bool = False) -> Replay:
    """Runs `ids` once and keeps what is needed to run blocks source+1..target again; `exact`: in float32 arithmetic."""
    calls: list[Call] = []

    def keep_call(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        calls.append((module, args, dict(kwargs)))

    with ExitStack() as stack, torch.no_grad():
        for block in model.blocks[source + 1 : target + 1]:
            handle = block.register_forward_pre_hook(keep_call, with_kwargs=True)
            stack.callback(handle.remove)
        outputs = [stack.enter_context(recorded(block)) for block in model.blocks[source : target + 1]]
        if exact:
            stack.enter_context(float32_arithmetic(model))
        model.run_blocks(model.ids_tensor(ids))
    return Replay(tuple(output[0] for output in outputs), tuple(calls), exact)


def _called(call: Call, hidden: Tensor) -> Tensor:
    """The call's block on `hidden` [batch, tokens, d_model], with the other arguments that it was called with."""
    block, args, kwargs = call
    by_name = {name: _batched(value, len(hidden)) for name, value in kwargs.items()}
    if args:
        return hidden_of(block(hidden, *(_batched(value, len(hidden)) for value in args[1:]), **by_name))
    return hidden_of(block(**{**by_name, "hidden_states": hidden}))


def _batched(value: Any, batch: int) -> Any:
    """An argument of the one-row forward, for `batch` rows: tensors whose first dimension is 1 are expanded, not copied."""
    if isinstance(value, Tensor):
        return value.expand(batch, *value.shape[1:]) if value.ndim > 1 and value.shape[0] == 1 else value
    if isinstance(value, tuple):
        return tuple(_batched(item, batch) for item in value)
    if isinstance(value, Mapping):
        return {key: _batched(item, batch) for key, item in value.items()}
    return value
