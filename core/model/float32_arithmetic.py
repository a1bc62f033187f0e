"""Half-precision weights in float32 arithmetic, for what half precision cannot hold: derivatives and small differences.

The difference of two nearly equal bfloat16 streams is rounding: with it, a calibrated radius comes out eighty times too small
(docs/performance.md). So whatever is read off such differences runs the model's own weights in float32: a block's are made
float32 while the block runs and dropped behind it, so one block's is all the memory that it takes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

HALF = (torch.bfloat16, torch.float16)


class InBlocks(Protocol):
    """A model and its decoder blocks, as core/model/language_model.py has them at hand."""

    model: Any
    blocks: nn.ModuleList
    dtype: torch.dtype


@contextmanager
def float32_weights(module: nn.Module, recurse: bool = True) -> Iterator[None]:
    """Makes the half-precision weights and buffers of `module` (with all modules in it) float32 for the time.

    Gradients may be taken afterwards: what autograd saves of a float32 weight is the half-precision one, made float32 again.
    """
    kept: list[tuple[dict[str, Any], str, Any]] = []
    made: dict[Tensor, Tensor] = {}  # tied weights are made once
    try:
        for one in module.modules() if recurse else (module,):
            for tensors in (one._parameters, one._buffers):
                for name, tensor in tensors.items():
                    if tensor is not None and tensor.dtype in HALF:
                        kept.append((tensors, name, tensor))
                        if tensor not in made:
                            exact = tensor.detach().float()
                            made[tensor] = nn.Parameter(exact, False) if isinstance(tensor, nn.Parameter) else exact
                        tensors[name] = made[tensor]  # type: ignore[assignment]
        with _saved_as_half(made):
            yield
    finally:
        for tensors, name, tensor in kept:
            tensors[name] = tensor


@dataclass(frozen=True)
class _View:
    """A view of the float32 copy of `half`, by its geometry."""

    half: Tensor
    size: Sequence[int]
    stride: Sequence[int]
    offset: Any


def _saved_as_half(made: Mapping[Tensor, Tensor]) -> AbstractContextManager[Any]:
    """Lets autograd save views of the float32 tensors in `made` (by the half-precision ones) as what they were made of."""
    halves = {_address(exact): half for half, exact in made.items()}

    def pack(saved: Tensor) -> Tensor | _View:
        address = _address(saved) if saved.dtype == torch.float32 else None
        half = halves.get(address) if address else None
        return saved if half is None else _View(half, saved.size(), saved.stride(), saved.storage_offset())

    def unpack(saved: Tensor | _View) -> Tensor:
        if isinstance(saved, Tensor):
            return saved
        return saved.half.detach().float().as_strided(saved.size, saved.stride, saved.offset)

    return torch.autograd.graph.saved_tensors_hooks(pack, unpack)


def _address(tensor: Tensor) -> int | None:
    """Where its numbers are; None on devices that do not tell."""
    try:
        return tensor.untyped_storage().data_ptr()
    except RuntimeError:
        return None


@contextmanager
def float32_arithmetic(model: InBlocks) -> Iterator[None]:
    """Whole forwards of `model` in float32 on its half-precision weights: embeddings come out in float32, and each block, norm
    and unembedding computes in it. Nothing changes for a float32 model, and everything is as it was afterwards.
    """
    if model.dtype not in HALF:
        yield
        return
    with ExitStack() as stack:
        inside = {id(part) for block in model.blocks for part in block.modules()}
        outside = [one for one in model.model.modules() if id(one) not in inside and one._parameters]
        for module in [*model.blocks, *outside]:
            if isinstance(module, nn.Embedding):  # of its rows only those that are looked up, behind the lookup
                stack.callback(module.register_forward_hook(_in_float32).remove)
                continue
            swap = _Swap(recurse=id(module) in inside)
            stack.callback(swap.close)
            stack.callback(module.register_forward_pre_hook(swap.enter).remove)
            stack.callback(module.register_forward_hook(swap.leave, always_call=True).remove)
        yield


class _Swap:
    """A module's weights in float32 from when its forward begins to when it ends."""

    def __init__(self, recurse: bool) -> None:
        self._recurse = recurse
        self._stack = ExitStack()

    def enter(self, module: nn.Module, args: Any) -> None:
        self._stack.enter_context(float32_weights(module, self._recurse))

    def leave(self, module: nn.Module, args: Any, output: Any) -> None:
        self._stack.close()

    def close(self) -> None:
        self._stack.close()


def _in_float32(module: nn.Module, args: Any, output: Any) -> Any:
    return output.float() if isinstance(output, Tensor) and output.dtype in HALF else output
