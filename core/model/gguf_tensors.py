"""Tensors of a GGUF file that its architecture has no place for; transformers leaves them out without a word."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path


def surplus_tensors(file: Path, parameters: Collection[str], n_blocks: int) -> set[str]:
    """By transformers' names, the blocks beyond the model's `n_blocks` and the biases that none of its `parameters` is."""
    import gguf  # takes a while, and few models come as GGUF

    reader = gguf.GGUFReader(file)
    architecture = reader.fields["general.architecture"].contents()
    names = {tensor.name for tensor in reader.tensors}
    place = next(name.partition(".0.")[0] for name in parameters if ".0." in name)
    blocks = {
        f"{place}.{match[1]}" for name in names if (match := re.match(r"blk\.(\d+)\.", name)) and int(match[1]) >= n_blocks
    }
    known = next((arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == architecture), None)
    if known is None:
        return blocks
    called = gguf.get_tensor_name_map(known, n_blocks)
    layers = {name.removesuffix(".weight") for name in parameters if name.endswith(".weight")}
    return blocks | {
        f"{layer}.bias" for layer in layers if f"{called.get_name(layer)}.bias" in names and f"{layer}.bias" not in parameters
    }
