"""Work of fixed shape, recorded once as a CUDA graph and replayed: on a GPU a step is bound by its launches, not by arithmetic.

What is recorded is held to what the same work gave when it was run plainly; where recording fails, or comes out otherwise, the
work goes on being run plainly. On other devices nothing is recorded.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from core.errors import Cancelled, is_out_of_memory

# Set to 0, it leaves all work to be run plainly.
SWITCH = "MELBO_TUI_CUDA_GRAPHS"
# How far a replay may be from the plain run, relative to its largest number: the kernels are the same.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 3e-2}

Work = Callable[..., Sequence[Tensor]]


def recordable(device: torch.device) -> bool:
    """Whether work on `device` can be recorded."""
    return device.type == "cuda" and os.environ.get(SWITCH, "1") != "0"


def warmed_up(work: Callable[[], Any]) -> Any:
    """What `work` gives, run beside the main stream, as it must have been once before it is recorded."""
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        result = work()
    torch.cuda.current_stream().wait_stream(stream)
    return result


def record(work: Callable[[], Any]) -> tuple[Callable[[], None], Any]:
    """Records `work`, which is not run: how to replay it, and what it puts its results in. Raises whatever forbids that."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        result = work()
    return graph.replay, result


def alike(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two results of the same work in `dtype` are the same but for rounding."""
    scale = float(one.abs().max())
    return float((one - other).abs().max()) <= _TOLERANCE.get(dtype, 1e-4) * scale + 1e-30


class Recorded:
    """`work`, a function of tensors of fixed shapes that keeps no state, run plainly at first and recorded the second time.

    `dtype` is what it computes in. What it returns is the caller's to keep.
    """

    def __init__(self, work: Work, dtype: torch.dtype) -> None:
        self._work, self._dtype = work, dtype
        self._first: tuple[Sequence[Tensor], Sequence[Tensor]] | None = None
        self._inputs: Sequence[Tensor] = ()
        self._outputs: Sequence[Tensor] = ()
        self._replay: Callable[[], None] | None = None
        self.plain = False  # recording it did not work out

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        if self.plain:
            return self._work(*inputs)
        if self._replay is None:
            if self._first is None:
                outputs = warmed_up(lambda: self._work(*inputs))
                self._first = [tensor.clone() for tensor in inputs], [tensor.clone() for tensor in outputs]
                return list(outputs)
            self._record()
            if self._replay is None:
                return self._work(*inputs)
        return self._replayed(inputs)

    def _record(self) -> None:
        assert self._first is not None
        (inputs, expected), self._first = self._first, None
        try:
            work, own = self._work, [tensor.clone() for tensor in inputs]
            self._inputs = own
            self._replay, self._outputs = record(lambda: work(*own))
            right = all(alike(a, b, self._dtype) for a, b in zip(expected, self._replayed(inputs), strict=True))
        except Cancelled:
            raise
        except Exception as error:  # work that waits for the device, or whose shapes depend on numbers, cannot be recorded
            if is_out_of_memory(error):
                torch.cuda.empty_cache()
            right = False
        if not right:
            self.plain, self._replay = True, None

    def _replayed(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        assert self._replay is not None
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return [tensor.clone() for tensor in self._outputs]
