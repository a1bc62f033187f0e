"""A model's decoder blocks, what they put out, and by what its weights are known."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from core.errors import ModelError
from core.model.decoding import WANTED
from core.model.offloading import first_numbers
from core.model.text_alone import text_blocks


def find_decoder(model: Any) -> tuple[nn.Module, nn.ModuleList]:
    """The module that runs the decoder blocks, and these. Raises ModelError where there are none."""
    roots = [model.get_decoder()] if hasattr(model, "get_decoder") else []
    for root in (*roots, model.base_model, model):
        blocks = _blocks_below(root, model.config.get_text_config(decoder=True))
        if blocks is not None:
            return root, text_blocks(blocks, model.config.get_text_config(decoder=True))
    raise ModelError(f"no decoder blocks were found in {type(model).__name__}", WANTED)


def find_blocks(model: Any) -> nn.ModuleList:
    """The decoder blocks. Raises ModelError where there are none."""
    return find_decoder(model)[1]


def _blocks_below(root: nn.Module, config: Any) -> nn.ModuleList | None:
    """The first ModuleList below `root` with as many modules as the config has hidden layers, or half as many: LongCat's blocks
    count as two layers each."""
    count = getattr(config, "num_hidden_layers", None)
    for wanted in (count, count // 2 if isinstance(count, int) and count % 2 == 0 and count > 2 else None):
        level: list[nn.Module] = [root]
        while level and wanted:
            for module in level:
                for child in module.children():
                    if isinstance(child, nn.ModuleList) and len(child) == wanted:
                        return child
            level = [child for module in level for child in module.children() if not isinstance(child, nn.ModuleList)]
    return None


def hidden_of(output: Any) -> Tensor:
    """The residual stream in what a decoder block returns: a tensor, or the first of a tuple or list."""
    hidden = output[0] if isinstance(output, (tuple, list)) else output
    assert isinstance(hidden, Tensor)
    return hidden


def with_hidden(output: Any, hidden: Tensor) -> Any:
    """`output` with `hidden` in place of its residual stream."""
    return type(output)((hidden, *output[1:])) if type(output) in (tuple, list) else hidden


def fingerprint(model: Any) -> str:
    """Twelve hex digits from a few numbers of every weight matrix; the same in any dtype that keeps bfloat16's digits."""
    digest = hashlib.sha256()
    modules = dict(model.named_modules())
    for name, parameter in sorted(model.named_parameters()):
        if parameter.ndim == 2 and parameter.is_floating_point():
            owner, _, own = name.rpartition(".")
            sample = first_numbers(modules[owner], own, parameter, 16).to("cpu", torch.bfloat16)
            digest.update(name.encode() + sample.view(torch.int16).numpy().tobytes())
    return digest.hexdigest()[:12]
