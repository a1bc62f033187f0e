"""The next token of every row of a batch, and what an unsteered reference makes of it; all where the logits are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.steering.divergence import divergence

_COLD = 1e-6  # draws the likeliest token, and logits divided by less are too large for numbers


@dataclass(frozen=True)
class Chosen:
    """A token for each row, and for rows with a reference KL(row || reference) in nats and the token's surprise under the
    reference, in nats; NaN for others. `finite`: whether its logits are free of NaN and plus infinity.
    """

    tokens: Tensor
    ids: Sequence[int]
    kl: Sequence[float]
    surprise: Sequence[float]
    finite: Sequence[bool]


class TokenChoice:
    """Chooses for rows [n] of a batch: row `own[i]` of its logits by `temperature[i]` and `top_p[i]`, 0 being the likeliest
    token; `reference[i]` is the row of its unsteered reference, or None.
    """

    def __init__(
        self,
        own: Sequence[int],
        reference: Sequence[int | None],
        temperature: Sequence[float],
        top_p: Sequence[float],
        device: torch.device,
    ) -> None:
        def there(numbers: Sequence[float], dtype: torch.dtype) -> Tensor:
            return torch.tensor(numbers, dtype=dtype, device=device)

        self._own = there(own, torch.long)
        self.drawn = [i for i, one in enumerate(temperature) if one >= _COLD]
        self._drawn = there(self.drawn, torch.long)
        self._temperature = there([temperature[i] for i in self.drawn], torch.float32)
        self._top_p = there([top_p[i] for i in self.drawn], torch.float32)
        self._referred = there([i for i, row in enumerate(reference) if row is not None], torch.long)
        self._reference = there([row for row in reference if row is not None], torch.long)

    def __call__(self, logits: Tensor, chances: Sequence[float]) -> Chosen:
        """From the batch's `logits` [rows, vocab]; `chances`, numbers in [0, 1), one for each of `drawn`, decide the draws."""
        own = logits[self._own]
        tokens = own.argmax(dim=-1)
        if self.drawn:
            given = torch.tensor(chances, dtype=torch.float32, device=logits.device)
            tokens[self._drawn] = drawn(own[self._drawn], self._temperature, self._top_p, given)
        nothing = torch.full_like(own[:, 0], torch.nan)
        kl, surprise = nothing, nothing
        if len(self._reference):
            steered, unsteered = own[self._referred], logits[self._reference]
            kl = nothing.index_copy(0, self._referred, divergence(steered, unsteered))
            told = unsteered.gather(1, tokens[self._referred][:, None])[:, 0]
            surprise = nothing.index_copy(0, self._referred, unsteered.logsumexp(dim=-1) - told)
        finite = own.amax(dim=-1).isfinite()  # a token that is ruled out may have minus infinity
        # Ids are whole numbers below 2^24, which float32 holds exactly; one wait for the device serves all.
        ids, kls, surprises, finites = torch.stack([tokens.float(), kl, surprise, finite.float()]).tolist()
        return Chosen(tokens, [int(one) for one in ids], kls, surprises, [bool(one) for one in finites])


def drawn(logits: Tensor, temperature: Tensor, top_p: Tensor, chances: Tensor) -> Tensor:
    """Tokens [n] drawn from the softmax of `logits` [n, vocab] at `temperature` [n], each from the smallest set of tokens that
    holds `top_p` [n] of the probability; `chances` [n] in [0, 1) decide.
    """
    probabilities, tokens = torch.softmax(logits / temperature[:, None], dim=-1).sort(dim=-1, descending=True)
    before = probabilities.cumsum(dim=-1) - probabilities
    # The likeliest stays, however small `top_p` is.
    outside = (before >= top_p[:, None]) & (torch.arange(logits.shape[1], device=logits.device) > 0)
    reached = torch.where(outside, 0.0, probabilities).cumsum(dim=-1)
    place = (reached <= chances[:, None] * reached[:, -1:]).sum(dim=-1).clamp_max(logits.shape[1] - 1)
    return tokens.gather(1, place[:, None])[:, 0]
