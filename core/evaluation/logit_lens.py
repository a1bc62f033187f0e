"""The logit lens of a vector: which tokens its direction points at and away from. A hint only: it skips all later blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from core.errors import ModelError
from core.model.language_model import LanguageModel


def logit_lens(
    model: LanguageModel, direction: Tensor, count: int = 10
) -> tuple[list[tuple[str, float]], list[tuple[str, float]]]:
    """The `count` tokens that `direction` [d_model], at norm 1, raises the most, and those it lowers most, with logits.

    Raises ModelError for a model without an unembedding, or without a tokenizer to name the tokens.
    """
    unembedding = model.model.get_output_embeddings()
    if unembedding is None or not model.has_tokenizer:
        raise ModelError("this model has no unembedding and tokenizer, which a logit lens needs")
    weight = unembedding.weight
    with torch.no_grad():
        unit = direction / direction.norm().clamp_min(1e-12)
        logits = (weight @ unit.to(weight.device, weight.dtype)).float()
        logits = logits - logits.mean()
    top, bottom = logits.topk(count), (-logits).topk(count)
    raised = list(zip(model.token_texts(top.indices.tolist()), top.values.tolist(), strict=True))
    lowered = list(zip(model.token_texts(bottom.indices.tolist()), (-bottom.values).tolist(), strict=True))
    return raised, lowered
