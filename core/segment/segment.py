"""Blocks source+1..target on one prompt, for a batch of steering vectors at once.

The prompt runs through the whole model once. What reaches block source+1, and every argument that the blocks after it
were called with, is kept; from then on a batch of thetas costs only the blocks between source and target.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from copy import copy

import torch
from torch import Tensor, nn

from core.errors import SettingsError, is_out_of_memory
from core.memory.halving import with_room
from core.model.cuda_graph import recordable
from core.model.float32_arithmetic import HALF, float32_arithmetic
from core.model.language_model import LanguageModel
from core.segment.last_block import sparable, spared
from core.segment.replay import Replay, record
from core.steering.hooks import added, recorded

# How far the replay may be from the model's own forward, relative to the largest activation, before it is not used: in
# float32 arithmetic, and in half precision, which could hide a wrong replay, where blocks do not run in float32.
_TOLERANCE = {torch.float32: 1e-5, torch.float16: 5e-3, torch.bfloat16: 4e-2}
# Of the residual stream's norm, the step of a finite difference: in float32, and where weights or arithmetic are coarser.
_STEP, _COARSE_STEP = 0.005, 0.05


class Segment:
    """The map from thetas [batch, d_model], added to block `source`'s output, to block `target`'s output on one prompt.

    `base` [tokens, d_model] float32 is that output without steering. `replayed` says whether the fast path is in use;
    architectures whose blocks cannot be run on their own get full forwards, and `reason` says why. A model in half precision is
    run in it, unless the segment is taken `in_float32`.
    """

    def __init__(self, model: LanguageModel, ids: Sequence[int], source: int, target: int) -> None:
        check_blocks(model, source, target)
        self._model = model
        self._ids = list(ids)
        self._source, self._target = source, target
        self.tokens = len(self._ids)
        with_room(self._record, model.fixed_shapes.clear)  # what completions were made with is held, and can be spared

    def _record(self) -> None:
        self._whole = record(self._model, self._ids, self._source, self._target)
        self._exact, self.inexact = self._in_float32_arithmetic()
        self._measure()
        self.reason = (self if self._exact is None else self.in_float32())._difference()

    def _in_float32_arithmetic(self) -> tuple[Replay | None, str]:
        """The same blocks' replay in float32 arithmetic, or None and why there is none."""
        if self._model.dtype not in HALF:
            return self._whole, ""
        try:
            return record(self._model, self._ids, self._source, self._target, exact=True), ""
        except Exception as error:  # blocks that name their dtype by hand fail in a way of their own
            if is_out_of_memory(error):
                raise
            return None, f"its blocks do not run in float32 arithmetic ({type(error).__name__})"

    def _measure(self) -> None:
        self.base = self._whole.base
        self._rounded = False
        self._last = self.tokens
        self._spared: tuple[nn.Module, ...] = ()
        # Median over positions, because the first tokens' norm (attention sinks) is far above the rest.
        self.residual_norm = float(self._whole.residual[0].float().norm(dim=-1).median())

    def in_float32(self) -> Segment:
        """The same segment in float32 arithmetic: for derivatives and small differences. This one where it is, or cannot be."""
        if self._exact is None or self._exact is self._whole:
            return self
        exact = copy(self)
        exact._whole = self._exact
        exact.base = self._exact.base
        return exact

    def part(self, source: int, target: int) -> Segment:
        """The segment from `source` to `target`, both within this one; nothing is run for it."""
        check_blocks(self._model, source, target)
        part = copy(self)
        part._source, part._target = source, target
        first, last = source - self._source, target - self._source
        part._whole = self._whole.part(first, last)
        part._exact = part._whole if self._exact is self._whole else self._exact and self._exact.part(first, last)
        part._measure()
        return part

    def watched(self, last: int | None) -> Segment:
        """The same segment where of the output's tokens only the `last` are asked for (None: all), which costs less."""
        watched = copy(self)
        if last is not None and last < self.tokens:
            watched._last = last
            exact = self._exact or self._whole
            watched._spared = sparable(exact, last, _TOLERANCE[exact.outputs[0].dtype]) if self.replayed else ()
        return watched

    def rounded(self) -> Segment:
        """The same segment with its matrix products in bfloat16 (torch's autocast); the residual stream and the norms stay in
        float32. This one where the model is in half precision anyway, or where bfloat16 comes out too far off.
        """
        if self.half_precision:
            return self
        rounded = copy(self)
        rounded._rounded = True
        nothing = torch.zeros(1, self._model.d_model, device=self.base.device)
        try:
            with torch.no_grad():
                rounded.base = rounded(nothing)[0].float()
        except Exception as error:  # blocks that mix their numbers by hand may not bear it, each in its own way
            if is_out_of_memory(error):
                raise
            return self
        off = float((rounded.base - self.base).abs().max() / self.base.abs().max())
        return rounded if off <= _TOLERANCE[torch.bfloat16] else self

    def free(self) -> None:
        """Gives up the memory that the model's decode steps of fixed shape keep for their next use."""
        self._model.fixed_shapes.clear()

    @property
    def dtype(self) -> torch.dtype:
        """Of its residual stream."""
        return self._whole.outputs[0].dtype

    @property
    def half_precision(self) -> bool:
        """Whether its residual stream is rounded to half precision."""
        return self.dtype in HALF

    @property
    def recordable(self) -> bool:
        """Whether a batch's work can be recorded as a CUDA graph: it is all on one GPU, with nothing made anew each time."""
        plain = (
            self.replayed and not self._whole.exact and not self._rounded and not hasattr(self._model.model, "hf_device_map")
        )
        return plain and recordable(self.base.device)

    @property
    def difference_step(self) -> float:
        """The norm of a finite difference's step at the source block, well above what rounding does."""
        coarse = self.half_precision or getattr(self._model.model, "is_quantized", False)
        return (_COARSE_STEP if coarse else _STEP) * self.residual_norm

    @property
    def precision(self) -> str:
        """What its matrix products are made in."""
        return "bfloat16" if self._rounded else str(self.dtype).removeprefix("torch.")

    @property
    def replayed(self) -> bool:
        return not self.reason

    def __call__(self, thetas: Tensor) -> Tensor:
        """Block target's output [batch, tokens, d_model] under `thetas` [batch, d_model] at block source; differentiable."""
        # Not every device knows autocast, so where nothing is rounded it is not even named.
        with torch.autocast(self.base.device.type, torch.bfloat16) if self._rounded else nullcontext():
            return self._whole(thetas) if self.replayed else self._full(thetas)

    def change(self, thetas: Tensor) -> Tensor:
        """Steered minus unsteered output [batch, tokens, d_model] in float32, of the tokens that are asked for."""
        with spared(self._spared, self._last, self.tokens):
            return self(thetas)[:, -self._last :].float() - self.base[-self._last :]

    def _full(self, thetas: Tensor) -> Tensor:
        """By the model's own forward."""
        blocks = self._model.blocks
        arithmetic = float32_arithmetic(self._model) if self._whole.exact else nullcontext()
        with added(blocks[self._source], thetas), recorded(blocks[self._target]) as seen, arithmetic:
            self._model.run_blocks(self._model.ids_tensor(self._ids, len(thetas)), self._target)
        return seen[0]

    def _difference(self) -> str:
        """Why the replay cannot be used, or nothing: two different thetas must come out as by the model's own forward."""
        thetas = torch.randn(2, self._model.d_model, generator=torch.Generator().manual_seed(0)).to(self._model.device)
        thetas *= self.residual_norm / thetas.norm(dim=-1, keepdim=True)
        try:
            with torch.no_grad():
                replayed, full = self._whole(thetas).float(), self._full(thetas).float()
        except Exception as error:  # blocks of unknown architectures may refuse to run on their own in any way they like
            if is_out_of_memory(error):
                raise
            return f"its blocks cannot be run on their own ({type(error).__name__})"
        worst = float((replayed - full).abs().max() / full.abs().max())
        return "" if worst <= _TOLERANCE[self.dtype] else f"replayed blocks differ from the model's own forward by {worst:.1g}"


def check_blocks(model: LanguageModel, source: int, target: int) -> None:
    """Raises SettingsError unless 0 <= source < target < number of blocks."""
    last = len(model.blocks) - 1
    if not 0 <= source <= last - 1:
        raise SettingsError(
            f"source block {source} is out of range", f"{model.stamp.name} can be steered at blocks 0 to {last - 1}"
        )
    if not 0 <= target <= last:
        raise SettingsError(f"target block {target} is out of range", f"{model.stamp.name} has blocks 0 to {last}")
    if target <= source:
        raise SettingsError(
            f"target block {target} does not come after source block {source}", "the target's output must come later"
        )
