"""Decodes one more token for every row of a batch: with a growing cache, or, on a GPU, in a step of fixed shape recorded once.

A decode step of a small batch takes a GPU as long as it takes the CPU to launch it. In a cache of fixed shape every step is the
same work, so it is recorded as a CUDA graph; what it gives is held to the growing cache's on the first token.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

import torch
from torch import Tensor

from core.errors import is_out_of_memory
from core.model.cuda_graph import alike, record, recordable, rehearsed, warmed_up
from core.model.language_model import LanguageModel
from core.steering.hooks import RowSteering

# Lengths of fixed caches are multiples of this, so that one recording serves prompts of about one length.
_LENGTHS = 64
_MOST_KEPT = 3
# So few tokens are not worth a recording; for more, the cache is made for so many at first.
_WORTH_RECORDING, _FIRST_TOKENS = 8, 192
# Of a batch's rows, those that go on: below these shares the others are left out, which costs a copy, or a recording too.
_WORTH_A_COPY, _WORTH_A_RECORDING = 0.8, 0.5


class FixedShape:
    """A step whose shapes stay the same: so many rows, a `cache` of fixed length with `held` tokens in it, steered at given
    blocks in a given way. It serves every batch of its shape, one at a time: `fill` puts one in.
    """

    def __init__(self, model: LanguageModel, cache: Any, held: int, steering: RowSteering) -> None:
        self._model, self.cache, self._held = model, cache, held
        self._steering = copy(steering)  # the caller's own goes on counting tokens
        self._position = torch.full((1,), held, device=model.device)
        self._steering.position = self._position
        self._ids = torch.zeros(steering.rows, 1, dtype=torch.long, device=model.device)
        self._replay: Callable[[], None] | None = None
        self._logits = torch.zeros(0)
        self._runs = 0
        self._plain = not recordable(model.device)
        self.busy = False

    def fill(self, cache: Any, rows: Any, held: int, steering: RowSteering) -> None:
        """Takes a batch in: `held` tokens of `rows` of `cache`, steered by `steering`, of the same layout."""
        self._model.fill_cache(self.cache, cache, rows, held)
        self._position.fill_(held)
        self._held = held
        self._steering.take_over(steering)

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocab] behind `tokens` [rows]; they are overwritten by the next step."""
        self._ids.copy_(tokens[:, None])
        self._runs += 1
        if self._replay is not None:
            self._replay()
            logits = self._logits
        elif self._plain:
            logits = self._forward()
        elif self._runs == 1:
            logits = warmed_up(self._forward, self._model.device)
        else:
            logits = self._recorded()
        self._held += 1
        return logits

    def _forward(self) -> Tensor:
        with self._steering.applied():
            logits = self._model.fixed_step(self._ids, self.cache, self._position)
        self._position.add_(1)
        return logits

    def _recorded(self) -> Tensor:
        """Makes the step plainly, records it, and makes it once more by the recording, for comparison."""
        try:
            expected, need = rehearsed(self._forward, self._model.device)
            replay, logits = record(self._forward, self._model.device, need)
            self._step_back()
            replay()
            if alike(expected, logits, self._model.dtype):
                self._replay, self._logits = replay, logits
                return self._logits
        except Exception as error:  # a model that waits for the device cannot be recorded, each for a reason of its own
            if is_out_of_memory(error):
                torch.cuda.empty_cache()
        self._plain = True
        self._step_back()
        return self._forward()

    def _step_back(self) -> None:
        """As it was before the step in hand, wherever that was left."""
        self._position.fill_(self._held)
        for layer in self.cache.layers:
            layer.cumulative_length.fill_(self._held)


class Steps:
    """The decode steps of one batch whose prompt of `held` tokens is in `cache`, for `most` tokens more.

    Behind the cache as it grows; where a step can be recorded, in one of fixed shape, once that was seen to give the same.
    """

    def __init__(self, model: LanguageModel, cache: Any, steering: RowSteering, held: int, most: int) -> None:
        self._model, self._cache, self._steering, self._held = model, cache, steering, held
        self._most = held + most
        self._fixed: FixedShape | None = None
        if most >= _WORTH_RECORDING and may_be_fixed(model):
            self._length = self._rounded(held + min(most, _FIRST_TOKENS))
            self._fixed = self._of_fixed_shape(slice(None))

    @property
    def worth_keeping(self) -> float:
        """The share of its rows below which it is quicker to go on with these alone."""
        return _WORTH_A_COPY if self._fixed is None else _WORTH_A_RECORDING

    def step(self, tokens: Tensor) -> Tensor:
        """Logits [rows, vocab] behind `tokens` [rows]; they may be overwritten by the next step."""
        if self._fixed is not None and self._model.bears_fixed_shape is False:  # as another stream has found
            assert self._cache is not None, "it is let go only where the fixed one is right"
            self.close()
        if self._fixed is not None and self._held >= self._length:
            self._lengthen()
        self._held += 1
        if self._fixed is None:
            return self._behind_cache(tokens)
        if self._model.bears_fixed_shape is None:
            expected = self._behind_cache(tokens)
            right = _gives(self._fixed, tokens, expected, self._model.dtype)
            self._model.bears_fixed_shape = right
            if not right:
                self.close()
                self._model.fixed_shapes.clear()  # what steers this batch is shared with it, and steers on
            return expected
        self._cache = None  # the fixed one holds all
        return self._fixed.step(tokens)

    def keep(self, rows: Sequence[int], steering: RowSteering) -> None:
        """Goes on with these rows, under `steering`."""
        before, self._steering = self._fixed, steering
        chosen = torch.tensor(rows, device=self._model.device)
        if self._cache is not None:  # which is so until the fixed one was seen to be right
            self.close()
            self._cache.reorder_cache(chosen)
            if before is not None:
                self._fixed = self._of_fixed_shape(slice(None))
            return
        assert before is not None
        self._cache, self._fixed = before.cache, None
        self._fixed = self._of_fixed_shape(chosen, needed=True)
        before.busy = False
        self._cache = None

    def close(self) -> None:
        """Releases the step of fixed shape for other batches."""
        if self._fixed is not None:
            self._fixed.busy = False
            self._fixed = None

    def _behind_cache(self, tokens: Tensor) -> Tensor:
        with self._steering.applied():
            logits, self._cache = self._model.forward(tokens[:, None], self._cache)
        return logits

    def _lengthen(self) -> None:
        """Goes on in a cache of twice the length: a long one from the start would make every step read all of it."""
        before = self._fixed
        assert before is not None
        self._length = self._rounded(min(2 * self._length, self._most))
        self._cache = before.cache
        self._fixed = self._of_fixed_shape(slice(None), needed=True)
        before.busy, self._cache = False, None

    def _rounded(self, tokens: int) -> int:
        return min(-(-tokens // _LENGTHS) * _LENGTHS, max(self._model.context_length, tokens))

    def _of_fixed_shape(self, rows: Any, needed: bool = False) -> FixedShape | None:
        """One that holds `rows` of the cache: one kept from before that is of that shape, or a new one.

        None where the cache has no such form, or, unless it is `needed`, memory no room for it beside the growing one.
        """
        model, kept = self._model, self._model.fixed_shapes
        key = self._steering.rows, self._length, self._steering.layout
        found: FixedShape | None = kept.get(key)
        if found is not None and not found.busy:
            found.fill(self._cache, rows, self._held, self._steering)
        else:
            try:
                cache = model.fixed_cache(self._cache, rows, self._held, self._length)
            except Exception as error:
                if needed or not is_out_of_memory(error):
                    raise
                kept.clear()
                torch.cuda.empty_cache()
                return None
            if cache is None:
                return None
            found = FixedShape(model, cache, self._held, self._steering)
            kept[key] = found
        kept.move_to_end(key)
        while len(kept) > _MOST_KEPT:
            kept.popitem(last=False)
        found.busy = True
        return found


def _gives(fixed: FixedShape, tokens: Tensor, expected: Tensor, dtype: torch.dtype) -> bool | None:
    """Whether the step of fixed shape gives `expected`; None where that does not show now."""
    try:
        if not bool(expected.isfinite().all()):
            return None
        return alike(expected, fixed.step(tokens), dtype)
    except Exception as error:  # masks and biases made for caches that grow fail in ways of their own
        if not is_out_of_memory(error):
            return False
        torch.cuda.empty_cache()
        return None


def may_be_fixed(model: LanguageModel) -> bool:
    """Whether decode steps of fixed shape are worth trying: where they can be recorded, unless they were seen to differ."""
    way, in_one_place = model.decoding, not hasattr(model.model, "hf_device_map")
    plain = way.cached and way.reorders and way.cache == "past_key_values"
    return plain and in_one_place and recordable(model.device) and model.bears_fixed_shape is not False
