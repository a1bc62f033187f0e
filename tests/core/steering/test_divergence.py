from __future__ import annotations

import pytest
import torch

from core.model.language_model import LanguageModel
from core.steering.divergence import Likeness
from core.steering.hooks import added


def test_likeness_is_the_kl_of_the_next_token_to_the_base_s(tiny: LanguageModel) -> None:
    base, other = torch.randn(2, tiny.d_model, generator=torch.Generator().manual_seed(0)) * 5
    ids = [5, 9, 17, 33]
    likeness = Likeness(tiny, ids, 1, base)
    own, away = likeness.kl(torch.stack([base, other])).tolist()
    assert own == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad(), added(tiny.blocks[1], torch.stack([other, base])):
        logits = tiny.model(torch.tensor([ids, ids])).logits[:, -1]
    p, q = torch.softmax(logits, dim=-1)
    assert away == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-3)
    assert likeness.unsteered == pytest.approx(float(likeness.kl(torch.zeros(1, tiny.d_model))))
    assert likeness.unsteered > 0
