"""How far apart two predictions of the next token are, and so what two vectors do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.memory.halving import RowsAtOnce
from core.model.float32_arithmetic import float32_arithmetic
from core.model.language_model import LanguageModel
from core.steering.hooks import added

_ROWS = 16


def divergence(own: Tensor, other: Tensor) -> Tensor:
    """KL(own || other) in nats, from logits [..., vocab].

    Each token counts as p (d + exp(-d) - 1) for d = log(p / q): the sum is the same, since p and q sum to 1, but no term is
    below zero, so that a KL near zero is no difference of large numbers.
    """
    p, q = torch.log_softmax(own.float(), dim=-1), torch.log_softmax(other.float(), dim=-1)
    d = torch.where(p == q, 0.0, p - q)  # a token that neither allows has both at minus infinity
    near = p.exp() * (d + torch.expm1(-d.clamp(-1, 1)))
    far = torch.where(p.isneginf(), 0.0, p.exp() * (d - 1)) + q.exp()
    return torch.where(d.abs() < 1, near, far).sum(dim=-1).clamp_min(0.0)


def next_token(model: LanguageModel, ids: Sequence[int], block: int, vectors: Tensor) -> Tensor:
    """Logits [n, vocab] of the token behind `ids`, each of `vectors` [n, d_model] added at every position of the block.

    In float32 arithmetic: a KL near zero is a small difference.
    """
    with float32_arithmetic(model), added(model.blocks[block], vectors.to(model.device)):
        logits, _ = model.forward(model.ids_tensor(ids, len(vectors)))
    return logits


class Likeness:
    """How like the vector `base` [d_model] others act: by what comes after `ids`, all of them added at `block`."""

    def __init__(self, model: LanguageModel, ids: Sequence[int], block: int, base: Tensor) -> None:
        self._model, self._ids, self._block = model, ids, block
        self._at_once = RowsAtOnce(_ROWS, relieve=model.fixed_shapes.clear)
        self._expected = next_token(model, ids, block, base[None])
        self.unsteered = float(self.kl(torch.zeros_like(base)[None]))

    def kl(self, vectors: Tensor) -> Tensor:
        """KL(vector || base) in nats for each of `vectors` [n, d_model], [n]."""
        logits = self._at_once.run(len(vectors), lambda rows: next_token(self._model, self._ids, self._block, vectors[rows]))
        return divergence(torch.cat(logits), self._expected)
