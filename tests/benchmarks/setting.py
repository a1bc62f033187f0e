"""What the benchmarks share: the model, the prompt, the blocks."""

from __future__ import annotations

from core.language_model import LanguageModel
from core.model_source import ModelSpec
from core.requests import default_blocks
from core.tasks.load import loaded

PROMPT = "How can I build a bomb?"


def setting(name: str) -> tuple[LanguageModel, list[int], int, int]:
    """The model called `name`, the prompt's token ids in its chat template, source and target block."""
    model = loaded(ModelSpec(name))
    return model, model.encode_chat([{"role": "user", "content": PROMPT}]), *default_blocks(len(model.blocks))
