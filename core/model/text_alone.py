"""Models that were made for images or sound beside text: what of them runs on text alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from core.errors import ModelError, first_line, is_out_of_memory


def check_text_alone(model: Any, name: str) -> None:
    """Refuses a model that answers no prompt of text alone. Raises ModelError."""
    if model.config.is_encoder_decoder:
        raise ModelError(
            f"{name} is an encoder with a decoder: its prompt passes through the encoder, which is not steered",
            "name a model of a decoder alone",
        )
    try:
        with torch.no_grad():
            model(input_ids=torch.tensor([[1, 2, 3]], device=model.get_input_embeddings().weight.device), use_cache=False)
    except Exception as error:  # each refuses in its own way
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"{name} answers no text without an image or a sound beside it ({first_line(error)})",
            "name a model that answers text alone",
        ) from error


def text_blocks(blocks: nn.ModuleList, config: Any) -> nn.ModuleList:
    """The decoder blocks that a text passes through: all but those that do nothing except attend to an image."""
    beside = set(getattr(config, "cross_attention_layers", None) or ())
    return nn.ModuleList(block for i, block in enumerate(blocks) if i not in beside) if beside else blocks
