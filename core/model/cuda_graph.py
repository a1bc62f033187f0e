"""Work of fixed shape, recorded once as a CUDA graph and replayed: on a GPU a step is bound by its launches, not by arithmetic.

What is recorded is held to what the same work gave when it was run plainly; where recording fails, or comes out otherwise, the
work goes on being run plainly. On other devices nothing is recorded.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import torch
from torch import Tensor

from core.errors import Cancelled, is_out_of_memory

# Set to 0, it leaves all work to be run plainly.
SWITCH = "MELBO_TUI_CUDA_GRAPHS"
# How far a replay may be from the plain run, relative to its largest number: the kernels are the same.
_TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 3e-2}
# Graphs whose recording failed are kept: what they left behind in the driver may still point at them.
_failed: list[Any] = []
# The first run moves tensors and loads kernels; the second, strictly, shows whether it waits for the device.
_RUNS_BEFORE = 2
# Memory is taken in whole segments, of which some stay partly empty.
_SLACK, _LEAST_ROOM = 1.5, 64 << 20

Work = Callable[..., Sequence[Tensor]]


def recordable(device: torch.device) -> bool:
    """Whether work on `device` can be recorded."""
    return device.type == "cuda" and os.environ.get(SWITCH, "1") != "0"


@cache
def _stream_beside(device: torch.device) -> Any:
    """One a device, for each new stream keeps memory of its own."""
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]


class NoRoom(RuntimeError):
    """The device has no memory for a recording beside what is held."""


def warmed_up(work: Callable[[], Any], device: torch.device, strictly: bool = False) -> Any:
    """What `work` gives, run beside the main stream, as it must have been before it is recorded.

    With `strictly`, work that waits for the device raises: it cannot be recorded, and to find that out by trying would leave
    the allocator of older versions of torch in a state that no later work bears.
    """
    with torch.cuda.device(device), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that this mode is a prototype
        main, beside, before = torch.cuda.current_stream(), _stream_beside(device), torch.cuda.get_sync_debug_mode()
        beside.wait_stream(main)
        if strictly:
            torch.cuda.set_sync_debug_mode("error")
        try:
            with torch.cuda.stream(beside):
                return work()
        finally:
            torch.cuda.set_sync_debug_mode(before)
            main.wait_stream(beside)


def rehearsed(work: Callable[[], Any], device: torch.device) -> tuple[Any, int]:
    """What `work` gives when it is run strictly, and the bytes of the device's memory that it took at most."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    result = warmed_up(work, device, strictly=True)
    return result, torch.cuda.max_memory_allocated(device) - before


def _room(device: torch.device) -> int:
    """Bytes that torch may still take from the device: a recording has memory of its own, which none of torch's spare is."""
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(device)
    allowed = torch.cuda.get_per_process_memory_fraction(device) * total - torch.cuda.memory_reserved(device)
    return int(min(free, allowed))


def record(work: Callable[[], Any], device: torch.device, need: int) -> tuple[Callable[[], None], Any]:
    """Records `work`, which is not run: how to replay it, and what it puts its results in.

    `need` is the memory that it takes, in bytes. Raises NoRoom where there is less, for what a recording that fails has taken
    never comes back; and whatever else forbids a recording.
    """
    if _room(device) < need * _SLACK + _LEAST_ROOM:
        raise NoRoom(f"a recording of {need >> 20} MiB has no room")
    graph, pool = torch.cuda.CUDAGraph(), torch.cuda.graph_pool_handle()
    with torch.cuda.device(device):
        torch.cuda.synchronize()
        with torch.cuda.stream(_stream_beside(device)):  # left whatever happens, which torch.cuda.graph does not promise
            try:
                graph.capture_begin(pool=pool, capture_error_mode="thread_local")
                result = work()
                graph.capture_end()
            except BaseException:
                with suppress(Exception):
                    graph.capture_end()
                with suppress(Exception):
                    torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), pool)
                _failed.append(graph)
                raise
    return graph.replay, result


def alike(one: Tensor, other: Tensor, dtype: torch.dtype) -> bool:
    """Whether two results of the same work in `dtype` are the same but for rounding."""
    scale = float(one.abs().max())
    return float((one - other).abs().max()) <= _TOLERANCE.get(dtype, 1e-4) * scale + 1e-30


class Recorded:
    """`work`, a function of tensors of fixed shapes that keeps no state: run plainly twice, and recorded the third time.

    `dtype` is what it computes in, `device` where. What it returns is the caller's to keep.
    """

    def __init__(self, work: Work, dtype: torch.dtype, device: torch.device) -> None:
        self._work, self._dtype, self._device = work, dtype, device
        self._runs = 0
        self._example: tuple[Sequence[Tensor], Sequence[Tensor]] = (), ()
        self._inputs: Sequence[Tensor] = ()
        self._outputs: Sequence[Tensor] = ()
        self._need = 0
        self._replay: Callable[[], None] | None = None
        self.plain = False  # recording it did not work out

    def __call__(self, *inputs: Tensor) -> Sequence[Tensor]:
        if not self.plain and self._replay is None:
            self._runs += 1
            outputs = self._attempt(inputs)
            if outputs is not None:
                return outputs
        return self._work(*inputs) if self.plain else self._replayed(inputs)

    def _attempt(self, inputs: Sequence[Tensor]) -> Sequence[Tensor] | None:
        """The first runs' outputs; None once it is recorded, or known that it cannot be."""
        try:
            if self._runs <= _RUNS_BEFORE:
                if self._runs < _RUNS_BEFORE:
                    outputs = warmed_up(lambda: self._work(*inputs), self._device)
                else:
                    outputs, self._need = rehearsed(lambda: self._work(*inputs), self._device)
                self._example = [one.clone() for one in inputs], [one.clone() for one in outputs]
                return list(outputs)
            self._record()
        except Cancelled:
            raise
        except Exception as error:  # work that waits for the device, or whose shapes depend on numbers, cannot be recorded
            if is_out_of_memory(error):
                if self._runs <= _RUNS_BEFORE:
                    raise  # plainly, too
                torch.cuda.empty_cache()
            self.plain, self._replay = True, None
        return None

    def _record(self) -> None:
        (inputs, expected), self._example = self._example, ((), ())
        # Not a copy of the example: work that escaped the recording would then seem to have been replayed.
        work, own = self._work, [torch.zeros_like(one) for one in inputs]
        self._inputs = own
        self._replay, self._outputs = record(lambda: work(*own), self._device, self._need)
        right = all(alike(a, b, self._dtype) for a, b in zip(expected, self._replayed(inputs), strict=True))
        if not right:
            self.plain, self._replay = True, None

    def _replayed(self, inputs: Sequence[Tensor]) -> Sequence[Tensor]:
        assert self._replay is not None
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return [one.clone() for one in self._outputs]
