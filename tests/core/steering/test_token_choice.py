"""What is chosen where logits are no plain numbers."""

from __future__ import annotations

import pytest
import torch

from core.steering.token_choice import TokenChoice

NAN, INF = torch.nan, torch.inf


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_overflowed_are_told_from_tokens_that_are_ruled_out(temperature: float) -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0], [-INF, 5.0, -INF], [0.0, NAN, 1.0], [0.0, INF, 1.0], [-INF] * 3])
    choice = TokenChoice(range(5), [None] * 5, [temperature] * 5, [1.0] * 5, logits.device)
    chosen = choice(logits, [0.5] * len(choice.drawn))
    assert chosen.finite == [True, True, False, False, False]
    assert chosen.ids[1] == 1
