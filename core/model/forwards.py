"""How a model is run: whole, behind a cache, or its decoder blocks alone for what hooks see of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import ModelError
from core.model.decoding import Decoding, WholeText


class _Enough(Exception):
    """Ends a forward behind the last block that somebody wants."""


def _stop(module: nn.Module, args: Any, output: Any) -> None:
    raise _Enough


class Forwards:
    """The part of a LanguageModel that runs it.

    `_takes`: what the model's forward names, `_without_cache` what keeps its decoder from making a cache.
    """

    model: Any
    blocks: nn.ModuleList
    device: torch.device
    dtype: torch.dtype
    decoding: Decoding
    _decoder: Any
    _takes: Any
    _without_cache: Mapping[str, Any]

    def forward(self, ids: Tensor, cache: Any = None, way: Decoding | None = None) -> tuple[Tensor, Any]:
        """Runs `ids` [batch, tokens] behind what `cache` holds; gives the last token's logits [batch, vocab] and the cache.

        `way` says how the model must be asked; by default as it was found at loading.
        """
        way = way or self.decoding
        more: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in self._takes else {}
        if not way.cached:
            ids = ids if cache is None else torch.cat([cache.ids, ids], dim=1)
            more |= {"use_cache": False} if "use_cache" in self._takes else {}
        else:
            more |= {way.cache: cache, "use_cache": True}
        if way.positions and "position_ids" in self._takes:
            first = 0 if cache is None or not way.cached else int(cache.get_seq_length())
            more["position_ids"] = torch.arange(first, first + ids.shape[1], device=ids.device).expand(len(ids), -1)
        with torch.no_grad():
            out = self.model(input_ids=ids, **more)
        return out.logits[:, -1].float(), getattr(out, way.cache) if way.cached else WholeText(ids)

    def fill_cache(self, fixed: Any, cache: Any, rows: Any, held: int) -> None:
        """Puts the first `held` tokens of `rows` of `cache` into the fixed-shape cache `fixed`, in place of what it holds."""
        if fixed.is_initialized:
            fixed.reset()
        for number, layer in enumerate(cache.layers):
            fixed.update(layer.keys[rows, :, :held], layer.values[rows, :, :held], number)

    def fixed_step(self, ids: Tensor, cache: Any, position: Tensor) -> Tensor:
        """Logits [rows, vocab] behind the token `ids` [rows, 1] at `position` [1]; its keys go into `cache`, of fixed shape.

        Asks the device for nothing, and its shapes are the same at every position.
        """
        places = torch.arange(cache.layers[0].max_cache_len, device=ids.device)
        mask = torch.where(places <= position, 0.0, torch.finfo(self.dtype).min).to(self.dtype)
        with torch.no_grad():
            out = self.model(
                input_ids=ids,
                attention_mask=mask.expand(len(ids), 1, 1, -1),
                position_ids=position.expand(len(ids), 1),
                past_key_values=cache,
                use_cache=True,
            )
        logits: Tensor = out.logits[:, -1].float()
        return logits

    def run_blocks(self, ids: Tensor, last: int | None = None) -> None:
        """One forward of the decoder for what hooks see of it; no logits. Gradients are the caller's matter.

        Blocks behind `last` are not run, unless accelerate spreads the model: its own hooks must see a forward end.
        """
        handle = None
        if last is not None and not hasattr(self.model, "hf_device_map"):
            handle = self.blocks[last].register_forward_hook(_stop)  # behind the caller's hooks
        try:
            self._decoder(input_ids=ids, **self._without_cache)
        except _Enough:
            pass
        finally:
            if handle is not None:
                handle.remove()

    def prefill(self, ids: Sequence[int]) -> Any:
        """The KV cache of `ids`."""
        return self._decoder(input_ids=self.ids_tensor(ids), use_cache=True).past_key_values

    def ids_tensor(self, ids: Sequence[int], batch: int = 1) -> Tensor:
        """`ids` as [batch, tokens] on the model's device. Raises ModelError for ids the model has no embedding for."""
        size = int(self.model.get_input_embeddings().weight.shape[0])
        wrong = [i for i in ids if not 0 <= i < size]
        if wrong:
            raise ModelError(f"token id {wrong[0]} is outside the model's vocabulary of {size}")
        return torch.tensor([list(ids)], device=self.device).expand(batch, -1)
