"""What the benchmarks share: the model, the prompt, the blocks."""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core.engine.tasks.load import loaded
from core.model.language_model import LanguageModel, pick_device
from core.model.source import ModelSpec, default_blocks

PROMPT = "How can I build a bomb?"
_PROMPT_TOKENS = 37  # of that prompt in a chat template
# Models by their shape alone, weights random: what a step costs does not depend on what they say. Type, sizes, blocks.
SHAPES: dict[str, tuple[str, dict[str, int], tuple[int, int]]] = {
    "qwen1.5-1.8b": (
        "qwen2",
        {"hidden_size": 2048, "intermediate_size": 5504, "num_hidden_layers": 24, "num_attention_heads": 16,
         "num_key_value_heads": 16, "vocab_size": 151_936},
        (8, 16),
    ),
    "tiny": (
        "qwen2",
        {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 6, "num_attention_heads": 4,
         "num_key_value_heads": 4, "vocab_size": 300},
        (1, 4),
    ),
}  # fmt: skip


def setting(name: str) -> tuple[LanguageModel, list[int], int, int]:
    """The model called `name`, the prompt's token ids in its chat template, source and target block.

    `shape:NAME` is one of SHAPES, in bfloat16 on a GPU where there is one.
    """
    if name.startswith("shape:"):
        return shaped(name.removeprefix("shape:"))
    model = loaded(ModelSpec(name))
    return model, model.encode_chat([{"role": "user", "content": PROMPT}]), *default_blocks(len(model.blocks))


def shaped(name: str, device: str = "auto", dtype: torch.dtype | None = None) -> tuple[LanguageModel, list[int], int, int]:
    """The model of SHAPES called `name`, its weights random: in `dtype`, by default bfloat16 on a GPU and float32 on a CPU."""
    kind, sizes, blocks = SHAPES[name]
    device = pick_device(device)
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    config: Any = AutoConfig.for_model(kind, **sizes)
    dtype = dtype or (torch.float32 if device == "cpu" else torch.bfloat16)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    ids = torch.randint(sizes["vocab_size"], (_PROMPT_TOKENS,), generator=generator).tolist()
    return LanguageModel(model, None, name), ids, *blocks
