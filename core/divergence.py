"""How far apart two predictions of the next token are, and so what two vectors do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.language_model import LanguageModel
from core.residual import added

_ROWS = 16


def divergence(own: Tensor, other: Tensor) -> Tensor:
    """KL(own || other) in nats, from logits [..., vocab]."""
    p, q = torch.log_softmax(own, dim=-1), torch.log_softmax(other, dim=-1)
    return (p.exp() * (p - q)).sum(dim=-1).clamp_min(0.0)


def next_token(model: LanguageModel, ids: Sequence[int], block: int, vectors: Tensor) -> Tensor:
    """Logits [n, vocab] of the token behind `ids`, each of `vectors` [n, d_model] added at every position of the block."""
    with added(model.blocks[block], vectors.to(model.device)):
        logits, _ = model.forward(model.ids_tensor(ids, len(vectors)))
    return logits


class Likeness:
    """How like the vector `base` [d_model] others act: by what comes after `ids`, all of them added at `block`."""

    def __init__(self, model: LanguageModel, ids: Sequence[int], block: int, base: Tensor) -> None:
        self._model, self._ids, self._block = model, ids, block
        self._expected = next_token(model, ids, block, base[None])
        self.unsteered = float(self.kl(torch.zeros_like(base)[None]))

    def kl(self, vectors: Tensor) -> Tensor:
        """KL(vector || base) in nats for each of `vectors` [n, d_model], [n]."""
        logits = [next_token(self._model, self._ids, self._block, some) for some in torch.split(vectors, _ROWS)]
        return divergence(torch.cat(logits), self._expected)
