"""Tests whether a model's logits with its cache equal those over the whole text, and chooses how to run it where they do not.

Some models count positions by themselves, keep no cache, or one whose rows cannot be copied and left out; some put out several
residual streams. A few tokens behind a cache, beside one forward over all of them, tell before a user is misled.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from core.errors import Cancelled, ModelError, first_line, is_out_of_memory
from core.model.float32_arithmetic import InBlocks, float32_arithmetic
from vectors.vector import ModelStamp

WANTED = "melbo-tui steers causal language models (Llama, Qwen, Gemma, GPT and their kin)"
_CACHES = ("past_key_values", "cache_params", "state")  # what model types call it
_PREFIX = 2
_PROMPT, _NEXT, _LAST = 4, 4, 5  # positions whose logits are compared: the prompt's last, and two tokens behind it
# Of the logits' spread. Eight-bit layers round the tokens of a batch together, so that other tokens move one by a rounding.
_TOLERANCE, _QUANTISED_TOLERANCE = 2e-3, 0.25


@dataclass(frozen=True)
class Decoding:
    """How tokens behind a prompt are asked for.

    `cached`: behind a cache, which `cache` names; else the whole text is run for each token. `reorders`: the cache's rows can
    be copied and left out. `positions`: the model must be told where its tokens are. `note` says what is slower, and why.
    """

    cached: bool = True
    cache: str = _CACHES[0]
    reorders: bool = True
    positions: bool = False
    note: str = ""


class Runnable(InBlocks, Protocol):
    """A model that is run a few tokens at a time."""

    d_model: int
    device: torch.device
    stamp: ModelStamp

    def forward(self, ids: Tensor, cache: Any = None, way: Decoding | None = None) -> tuple[Tensor, Any]: ...


class WholeText:
    """In place of a cache: the token ids [rows, tokens] so far, for models that are run over all of them for every token."""

    def __init__(self, ids: Tensor) -> None:
        self.ids = ids

    def reorder_cache(self, rows: Tensor) -> None:
        self.ids = self.ids[rows]


@torch.no_grad()
def checked(model: Runnable) -> Decoding:
    """How `model` is to be asked for tokens, found by trying. Raises ModelError where it cannot be steered, and says why."""
    with float32_arithmetic(model):
        size = int(model.model.get_input_embeddings().weight.shape[0])
        ids = torch.tensor([[1, 2, 3, 1, 4, 2], [4, 1, 1, 2, 3, 3]], device=model.device) % size
        trial = _Trial(model, ids)
        if not trial.right(lambda: [trial.whole[:, :_PREFIX], trial.prefix]):
            raise ModelError(f"{model.stamp.name} is no decoder: a later token changes an earlier one", WANTED)
        plain = Decoding(cache=trial.cache)
        for way in (plain, replace(plain, positions=True)):
            if trial.right(lambda way=way: trial.behind_cache(way, reorder=True)):  # type: ignore[misc]
                return way
        for way in (plain, replace(plain, positions=True)):
            if trial.right(lambda way=way: trial.behind_cache(way, reorder=False)):  # type: ignore[misc]
                note = "its cache cannot be reordered, so completions that have ended are computed on until the last one has"
                return replace(way, reorders=False, note=note)
        return replace(plain, cached=False, note=f"{trial.why}, so every token runs the whole text again, which is slower")


class _Trial:
    """One forward over all of `ids` [2, tokens], to which others are held."""

    def __init__(self, model: Runnable, ids: Tensor) -> None:
        self._model, self._ids = model, ids
        self.why = ""
        quantised = getattr(model.model, "is_quantized", False)
        self._tolerance = _QUANTISED_TOLERANCE if quantised else _TOLERANCE
        streams: list[Any] = []
        with ExitStack() as stack:
            for block in (model.blocks[0], model.blocks[-1]):
                stack.callback(block.register_forward_hook(lambda module, args, out: streams.append(out)).remove)
            try:
                self.whole = _logits(model, ids, use_cache=False)
            except (Cancelled, ModelError):
                raise
            except Exception as error:
                if is_out_of_memory(error):
                    raise
                message = f"{model.stamp.name} cannot be run: its forward fails ({first_line(error)})"
                raise ModelError(message, "is its config right, and does this version of transformers know it?") from error
        for output in streams:
            check_stream(model, output, ids.shape)
        self.prefix, self.cache = _prefix(model, ids[:, :_PREFIX])
        if not self.whole.isfinite().all():
            raise ModelError(
                f"{model.stamp.name} puts out logits that are no finite numbers in {str(model.dtype).removeprefix('torch.')}",
                "load it with --dtype float32 (or bfloat16); if that is no better, its weights are damaged",
            )

    def right(self, try_it: Callable[[], list[Tensor]]) -> bool:
        """Whether the two tensors that come out are the same."""
        try:
            expected, got = try_it()
        except Exception as error:  # caches of unknown kinds fail in ways of their own
            if is_out_of_memory(error):
                raise
            self.why = f"generation behind its cache fails ({first_line(error)})" if self.cache else "it keeps no cache"
            return False
        if float((got - expected).abs().max()) <= self._tolerance * float(self.whole.std()):
            return True
        self.why = "behind its cache it gives something else than for the whole text"
        return False

    def behind_cache(self, way: Decoding, reorder: bool) -> list[Tensor]:
        """The logits of three positions, expected and got: of the prompt, and of each of two tokens behind it."""
        if not self.cache:
            raise ValueError("there is no cache")
        model, ids = self._model, self._ids
        rows = torch.tensor([1, 0, 1] if reorder else [0, 1], device=ids.device)
        prompt, cache = model.forward(ids[:, :_PROMPT], way=way)
        behind, cache = model.forward(ids[:, _NEXT : _NEXT + 1], cache, way)
        if reorder:
            cache.reorder_cache(rows)
        last, _ = model.forward(ids[rows, _LAST : _LAST + 1], cache, way)
        expected = [self.whole[:, _PROMPT - 1], self.whole[:, _NEXT], self.whole[rows, _LAST]]
        return [torch.cat(expected), torch.cat([prompt, behind, last])]


def check_stream(model: Runnable, output: Any, shape: torch.Size) -> None:
    """Raises ModelError where a block's `output` for ids [rows, tokens] is no residual stream [rows, tokens, d_model]."""
    hidden = output[0] if isinstance(output, (tuple, list)) else output
    seen = tuple(hidden.shape) if isinstance(hidden, Tensor) else type(hidden).__name__
    if seen == (*shape, model.d_model):
        return
    if isinstance(seen, tuple) and len(seen) == 4:
        why = f"its blocks put out {seen[0] if seen[1:3] == tuple(shape) else seen[2]} residual streams side by side"
    else:
        why = f"its blocks put out {seen} where one residual stream of [tokens, {model.d_model}] was expected"
    raise ModelError(f"{model.stamp.name} cannot be steered: {why}", WANTED)


def _prefix(model: Runnable, ids: Tensor) -> tuple[Tensor, str]:
    """The logits of `ids` alone, and what the model calls the cache that it hands out: nothing where it hands out none."""
    try:
        out = model.model(input_ids=ids, use_cache=True)
    except Exception as error:  # one that takes no `use_cache`
        if is_out_of_memory(error):
            raise
        return _logits(model, ids, use_cache=False), ""
    return out.logits.float(), next((name for name in _CACHES if getattr(out, name, None) is not None), "")


def _logits(model: Runnable, ids: Tensor, **more: Any) -> Tensor:
    logits: Tensor = model.model(input_ids=ids, **more).logits
    return logits.float()
