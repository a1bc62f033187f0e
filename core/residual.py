"""Hooks on the residual stream: steer the rows of a batch, add a vector to each, record what a block puts out.

Every context manager here takes its hooks off whatever happens, so that it leaves the model bit for bit as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from core.language_model import LanguageModel, hidden_of, with_hidden
from core.steering import Steering, SteerTerm

Change = Callable[[Tensor], Tensor]


@contextmanager
def changed_output(block: nn.Module, change: Change) -> Iterator[None]:
    """Replaces the block's output [batch, tokens, d_model] by `change` of it."""

    def hook(module: nn.Module, args: Any, output: Any) -> Any:
        return with_hidden(output, change(hidden_of(output)))

    handle = block.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def added(block: nn.Module, thetas: Tensor) -> Iterator[None]:
    """Adds `thetas` [batch, d_model], a row each, on all positions; gradients flow back into them."""
    with changed_output(block, lambda hidden: hidden + thetas[:, None].to(hidden.device, hidden.dtype)):
        yield


@contextmanager
def recorded(block: nn.Module) -> Iterator[list[Tensor]]:
    """Collects the block's outputs, a tensor a forward, as later hooks left them."""
    seen: list[Tensor] = []

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        seen.append(hidden_of(output))

    handle = block.register_forward_hook(hook)
    try:
        yield seen
    finally:
        handle.remove()


class RowSteering:
    """Steers row r of a batch by `rows[r]`: tokens from position `begin` on, first a prefill, then decode steps behind it.

    `applied()` is to be entered around each forward: between forwards the model is as it was, so that several streams
    and a training run can take turns on it. The tokens that pass are counted, so positions are absolute under a KV cache.
    """

    def __init__(self, model: LanguageModel, rows: Sequence[Steering], prompt_length: int, begin: int = 0) -> None:
        blocks = sorted({term.vector.block for row in rows for term in row})
        self._changes = [
            (model.blocks[i], _RowSteerer([[t for t in row if t.vector.block == i] for row in rows], prompt_length, begin))
            for i in blocks
        ]

    @contextmanager
    def applied(self) -> Iterator[None]:
        with ExitStack() as stack:
            for block, change in self._changes:
                stack.enter_context(changed_output(block, change))
            yield


class _RowSteerer:
    """What happens at one block: for each row, its terms in order, each on its own span of absolute positions."""

    def __init__(self, rows: Sequence[Sequence[SteerTerm]], prompt_length: int, begin: int) -> None:
        self._rows = rows
        self._prompt_length = prompt_length
        self._seen = begin
        everywhere = all(t.operation == "add" and t.positions.kind == "all" for terms in rows for t in terms)
        self._sum = torch.stack([_summed(terms, self._width()) for terms in rows]) if everywhere else None

    def __call__(self, hidden: Tensor) -> Tensor:
        start, self._seen = self._seen, self._seen + hidden.shape[1]
        if self._sum is not None:
            self._sum = self._sum.to(hidden.device)
            return hidden + self._sum[:, None].to(hidden.dtype)
        hidden = hidden.clone()
        for row, terms in enumerate(self._rows):
            for term in terms:
                first, end = term.positions.span(self._prompt_length)
                here = slice(max(first - start, 0), None if end is None else max(end - start, 0))
                hidden[row, here] = _applied(term, hidden[row, here])
        return hidden

    def _width(self) -> int:
        return next(term.vector.d_model for terms in self._rows for term in terms)


def _summed(terms: Sequence[SteerTerm], width: int) -> Tensor:
    """sum of coefficient x vector, [d_model] float32: the vectors are cast to the model's dtype only when they are added."""
    total = torch.zeros(width)
    for term in terms:
        total += term.coefficient * torch.from_numpy(term.vector.direction.copy())
    return total


def _applied(term: SteerTerm, hidden: Tensor) -> Tensor:
    """`term` on `hidden` [tokens, d_model]."""
    vector = torch.from_numpy(term.vector.direction.copy()).to(hidden.device)
    if term.operation == "add":
        return hidden + (term.coefficient * vector).to(hidden.dtype)
    unit = vector / vector.norm().clamp_min(torch.finfo(torch.float32).tiny)
    component = (hidden.float() @ unit)[:, None]
    wanted = term.coefficient * vector.norm() if term.operation == "set" else 0.0
    changed: Tensor = hidden.float() + (wanted - component) * unit
    return changed.to(hidden.dtype)
