"""Hooks on the residual stream: steer the rows of a batch, add a vector to each, record what a block puts out.

Every context manager here takes its hooks off whatever happens, so that it leaves the model bit for bit as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.model.blocks import hidden_of, with_hidden
from core.model.language_model import LanguageModel
from core.steering.block_terms import Acting, BlockTerms, TokenColumns, block_terms
from core.steering.operations import RowTensors
from core.steering.terms import Steering, check_blocks

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
    and a training run can take turns on it. The tokens that pass are counted, so positions are absolute under a KV cache;
    `position`, a tensor [1] of the device's, is where they are instead in a step of fixed shape, of one token.
    Raises SettingsError where a term cannot act on the model.
    """

    def __init__(self, model: LanguageModel, rows: Sequence[Steering], prompt_length: int, begin: int = 0) -> None:
        for term in dict.fromkeys(term for row in rows for term in row):
            check_blocks(term, model.stamp)
        self.position: Tensor | None = None
        self.rows = len(rows)
        self._whole_text = not model.decoding.cached
        self._seen = 0 if self._whole_text else begin
        self._columns = TokenColumns(rows, prompt_length)
        self._blocks = block_terms(rows, len(model.blocks))
        self._at = [model.blocks[terms.block] for terms in self._blocks]

    @contextmanager
    def applied(self) -> Iterator[None]:
        passed = 0

        def positions(tokens: int, device: torch.device) -> Tensor:
            if self.position is not None:
                return self.position
            return torch.arange(self._seen, self._seen + tokens, device=device)

        acting = Acting(self._columns, positions)

        def change(terms: BlockTerms, hidden: Tensor) -> Tensor:
            nonlocal passed
            passed = hidden.shape[1]
            return terms(hidden, acting)

        with ExitStack() as stack:
            for block, terms in zip(self._at, self._blocks, strict=True):
                stack.enter_context(changed_output(block, partial(change, terms)))
            yield
        if not self._whole_text:  # else the next forward begins at the first token again
            self._seen += passed

    def take_over(self, other: RowSteering) -> None:
        """Puts the terms of `other`, which has the same `layout`, into the tensors of this one: a captured step reads these."""
        for own, new in zip(self._tensors, other._tensors, strict=True):
            own.take_over(new)

    @property
    def layout(self) -> tuple[Any, ...]:
        """What a captured step must have in common with another to be used for it."""
        return self._columns.layout, tuple(terms.layout for terms in self._blocks)

    @property
    def _tensors(self) -> list[RowTensors]:
        tokens = [] if self._columns.tokens is None else [self._columns.tokens]
        return tokens + [part for terms in self._blocks for part in terms.tensors]
