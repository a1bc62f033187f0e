"""What a steering means, written down a second time: one row at a time, token by token, in float64, without cache or batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from core.steering.terms import SteerTerm


class Reference:
    """Logits [tokens, vocab] of `ids` under `terms`; `margin` is how close to its threshold a gate came at any token, and
    `open` has the (term, token) pairs whose gates opened.
    """

    def __init__(
        self, model: Any, blocks: Sequence[nn.Module], ids: Sequence[int], terms: Sequence[SteerTerm], prompt: int
    ) -> None:
        self._terms, self._prompt = terms, prompt
        self._acts = [term.acts_at(len(blocks)) for term in terms]
        self.open: set[tuple[int, int]] = set()
        self.margin = np.inf
        handles = [
            block.register_forward_hook(lambda module, args, output, i=i: self._block(i, output))
            for i, block in enumerate(blocks)
        ]
        try:
            with torch.no_grad():
                self.logits = model(input_ids=torch.tensor([list(ids)]), use_cache=False).logits[0].float()
        finally:
            for handle in handles:
                handle.remove()

    def _block(self, block: int, output: Any) -> Any:
        hidden = output[0] if isinstance(output, (tuple, list)) else output
        stream = hidden[0].double().numpy()
        steered = np.stack([self._token(block, i, h) for i, h in enumerate(stream)])
        changed = torch.from_numpy(steered)[None].to(hidden.dtype)
        return type(output)((changed, *output[1:])) if isinstance(output, (tuple, list)) else changed

    def _token(self, block: int, position: int, h: Any) -> Any:
        for number, term in enumerate(self._terms):
            acts = self._acts[number]
            if term.gate is not None and term.gate.vector.block == block == acts[0]:
                self._read(number, position, h)
            gated = term.gate is not None and (number, position) not in self.open
            if block in acts and term.tokens.includes(position, self._prompt) and not gated:
                h = _steered(h, term, np.asarray(term.direction_at(block), dtype=np.float64))
        for number, term in enumerate(self._terms):
            if term.gate is not None and term.gate.vector.block == block < self._acts[number][0]:
                self._read(number, position, h)
        return h

    def _read(self, number: int, position: int, h: Any) -> None:
        gate = self._terms[number].gate
        assert gate is not None
        w = np.asarray(gate.vector.direction, dtype=np.float64)
        projection = w @ h / (w @ w) if w.any() else 0.0
        self.margin = min(self.margin, abs(projection - gate.threshold))
        if projection > gate.threshold if gate.above else projection < gate.threshold:
            self.open.add((number, position))


def _steered(h: Any, term: SteerTerm, v: Any) -> Any:
    c, norm = term.coefficient, np.linalg.norm(v)
    u = v / norm if norm else v
    if term.operation == "add":
        return h + c * v
    if term.operation == "ablate":
        return h - c * (u @ h) * u
    if term.operation == "set":
        return h + (c * norm - u @ h) * u
    new = h + c * v
    return new / np.linalg.norm(new) * np.linalg.norm(h)
