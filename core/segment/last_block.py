"""Runs the last block's feed-forward part only on the tokens that the objective sees.

Attention needs every token, and so do the blocks before; of the last block's output only some tokens are asked for. Which
of its parts may be spared the others is found out by trying, so no architecture is known by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from core.errors import is_out_of_memory
from core.segment.replay import Replay

_WORTH = 0.1  # parts with less than this share of the block's weights are left alone


def sparable(replay: Replay, last: int, tolerance: float) -> tuple[nn.Module, ...]:
    """The parts of the last block without whose other tokens its output on the `last` tokens stays what it is.

    `tolerance` is relative to what the block adds to them, for a few huge activations that pass through it would hide anything.
    """
    block, final = replay.calls[-1][0], replay.part(len(replay.calls) - 1, len(replay.calls))
    still = final.base.new_zeros(2, final.base.shape[-1])

    def seen(parts: Sequence[nn.Module]) -> Tensor:
        with spared(parts, last, len(final.base)), torch.no_grad():
            return final(still)[:, -last:].float()

    expected = seen(())
    own = (expected - final.residual[:, -last:].float()).norm()
    weights = _weights(block)
    parts: tuple[nn.Module, ...] = ()
    for part in block.children():
        if _weights(part) < _WORTH * weights:
            continue
        try:
            wrong = (seen((*parts, part)) - expected).norm() / own
        except Exception as error:  # a part that takes or gives something else than one tensor fails in a way of its own
            if is_out_of_memory(error):
                raise
            continue
        if float(wrong) <= tolerance:
            parts = (*parts, part)
    return parts


@contextmanager
def spared(parts: Sequence[nn.Module], last: int, tokens: int) -> Iterator[None]:
    """Runs each of `parts` on the `last` of all `tokens`; at the others it puts out zero.

    Each must take one tensor [batch, tokens, width] and give one, or its forward raises.
    """

    def cut(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Tensor], dict[str, Any]]:
        (hidden,) = args
        if kwargs or hidden.ndim != 3 or hidden.shape[1] != tokens:
            raise ValueError("this part takes more than one tensor of all tokens")
        return (hidden[:, -last:].contiguous(),), {}

    def filled(module: nn.Module, args: Any, output: Tensor) -> Tensor:
        return pad(output, (0, 0, tokens - last, 0))

    with ExitStack() as stack:
        for part in parts:
            stack.callback(part.register_forward_pre_hook(cut, with_kwargs=True).remove)
            stack.callback(part.register_forward_hook(filled).remove)
        yield


def _weights(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
