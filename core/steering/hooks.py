"""Hooks on the residual stream: steer the rows of a batch, add a vector to each, record what a block puts out.

Every context manager here takes its hooks off whatever happens, so that it leaves the model bit for bit as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from core.model.blocks import hidden_of, with_hidden
from core.model.language_model import LanguageModel
from core.steering.terms import Steering, SteerTerm

Change = Callable[[Tensor], Tensor]
_NEVER = 1 << 40  # a position behind all others


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
    """

    def __init__(self, model: LanguageModel, rows: Sequence[Steering], prompt_length: int, begin: int = 0) -> None:
        depth = len(model.blocks)
        self.blocks = sorted({block for row in rows for term in row for block in term.acts_at(depth)})
        self.position: Tensor | None = None
        self.rows = len(rows)
        self._seen = begin
        self._whole_text = not model.decoding.cached
        self._changes = [
            _RowTerms.of([[t for t in row if i in t.acts_at(depth)] for row in rows], i, prompt_length) for i in self.blocks
        ]
        self._at = [model.blocks[i] for i in self.blocks]

    @contextmanager
    def applied(self) -> Iterator[None]:
        passed = 0

        def change(terms: _RowTerms, hidden: Tensor) -> Tensor:
            nonlocal passed
            passed = hidden.shape[1]
            positions = self.position
            if positions is None and not terms.everywhere:
                positions = torch.arange(self._seen, self._seen + passed, device=hidden.device)
            return terms(hidden, positions)

        with ExitStack() as stack:
            for block, terms in zip(self._at, self._changes, strict=True):
                stack.enter_context(changed_output(block, partial(change, terms)))
            yield
        if not self._whole_text:  # else the next forward begins at the first token again
            self._seen += passed

    def take_over(self, other: RowSteering) -> None:
        """Puts the terms of `other`, which has the same `layout`, into the tensors of this one: a captured step reads these."""
        for own, new in zip(self._changes, other._changes, strict=True):
            own.take_over(new)

    @property
    def layout(self) -> tuple[Any, ...]:
        """What a captured step must have in common with another to be used for it."""
        return tuple(
            (block, terms.everywhere, *terms.direction.shape) for block, terms in zip(self.blocks, self._changes, strict=True)
        )


@dataclass
class _RowTerms:
    """What happens at one block to rows [n], each with up to k terms, in order, on tokens at first <= position < end.

    h becomes h + (shift - share (h . direction)) direction: for `add` the direction is the vector itself, its shift the
    coefficient, its share 0; `ablate` and `set` have a unit direction and share 1. `direction` is [n, k, d_model], the others
    [n, k]. `everywhere`: all is added at all positions, so each row has the one sum of its vectors.
    """

    everywhere: bool
    direction: Tensor
    shift: Tensor
    share: Tensor
    first: Tensor
    end: Tensor

    @classmethod
    def of(cls, rows: Sequence[Sequence[SteerTerm]], block: int, prompt_length: int) -> _RowTerms:
        width = next(term.vector.d_model for terms in rows for term in terms)
        everywhere = all(t.operation == "add" and t.tokens.kind == "all" for terms in rows for t in terms)
        slots = 1 if everywhere else max(map(len, rows))
        found = cls(
            everywhere,
            torch.zeros(len(rows), slots, width),
            *(torch.zeros(len(rows), slots) for _ in range(2)),
            *(torch.zeros(len(rows), slots, dtype=torch.long) for _ in range(2)),
        )
        for row, terms in enumerate(rows):
            for slot, term in enumerate(terms):
                if everywhere:
                    found.direction[row, 0] += term.coefficient * torch.from_numpy(term.direction_at(block).copy())
                else:
                    found._put(row, slot, term, block, prompt_length)
        return found

    def _put(self, row: int, slot: int, term: SteerTerm, block: int, prompt_length: int) -> None:
        vector = torch.from_numpy(term.direction_at(block).copy())
        first, end = term.tokens.spans(prompt_length)[0]
        self.first[row, slot], self.end[row, slot] = first, _NEVER if end is None else end
        if term.operation == "add":
            self.direction[row, slot], self.shift[row, slot] = vector, term.coefficient
            return
        norm = vector.norm()
        self.direction[row, slot] = vector / norm.clamp_min(torch.finfo(torch.float32).tiny)
        self.share[row, slot] = 1.0
        self.shift[row, slot] = term.coefficient * norm if term.operation == "set" else 0.0

    def __call__(self, hidden: Tensor, positions: Tensor | None) -> Tensor:
        """`hidden` [n, tokens, d_model] with the terms acted out; `positions` [tokens] are those of its tokens."""
        if self.direction.device != hidden.device:
            for name in _TENSORS:
                setattr(self, name, getattr(self, name).to(hidden.device))
        if self.everywhere:
            return hidden + self.direction.to(hidden.dtype)
        assert positions is not None
        changed = hidden.float()
        here = (positions >= self.first[..., None]) & (positions < self.end[..., None])
        for slot in range(self.direction.shape[1]):
            direction = self.direction[:, slot, None]
            component = (changed * direction).sum(dim=-1, keepdim=True)
            change = (self.shift[:, slot, None, None] - self.share[:, slot, None, None] * component) * direction
            changed = torch.where(here[:, slot, :, None], changed + change, changed)
        return changed.to(hidden.dtype)

    def take_over(self, other: _RowTerms) -> None:
        for name in _TENSORS:
            getattr(self, name).copy_(getattr(other, name))


_TENSORS = ("direction", "shift", "share", "first", "end")
