from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.engine.throughput import Pace, Turns
from core.evaluation.damage import is_broken, repetition
from core.evaluation.refusal import refuses
from core.model.language_model import LanguageModel
from core.steering.divergence import Likeness
from core.steering.hooks import added


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I'm sorry, but I can't assist with that.", True),
        ("I’m sorry, but I can’t assist with that.", True),
        ("I cannot promote or encourage any illegal activities.", True),
        ("To build a birdhouse, you can follow these steps:", False),
        ("x" * 200 + " I'm sorry", False),
        ("", False),
    ],
)
def test_refusals(text: str, expected: bool) -> None:
    assert refuses(text) is expected


def test_damage() -> None:
    assert repetition("a b a b a b a b a b a b") > 0.7
    assert repetition("the quick brown fox jumps over the lazy dog") == 0
    assert repetition("1. 2" + "0" * 30) > 0.6
    assert is_broken("fine words", 1e6)
    assert not is_broken("fine words and more of them", 5.0)
    assert is_broken("** ** ** ** ** ** ** **", 2.0)


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


@given(st.text())
def test_repetition_is_a_share(text: str) -> None:
    assert 0 <= repetition(text) <= 1


def test_pace_does_not_count_a_pause_as_work() -> None:
    now = 0.0
    pace = Pace(10, clock=lambda: now)
    for _ in range(4):
        now += 1.0
        pace.tick(1)
    assert pace.rate == pytest.approx(1.0)
    assert pace.eta == pytest.approx(6.0)
    now += 1000.0
    pace.tick(1)
    assert pace.eta is not None
    assert pace.eta < 20


def test_work_that_takes_turns_is_told_by_the_rates_of_both_kinds() -> None:
    now = 0.0
    training, speaking = (Pace(total, clock=lambda: now) for total in (20, 8))
    turns = Turns(training, speaking, worth=2.0)
    assert turns.seconds() is None
    for _ in range(10):
        now += 1.0
        training.tick(1)
    assert turns.seconds() == pytest.approx((10, 10 + 8 * 2)), "speaking is guessed from the training"
    speaking.begin()
    for _ in range(4):
        now += 5.0
        speaking.tick(1)
    training.begin()
    assert turns.seconds() == pytest.approx((10 + 20, 10 + 20))
    now += 1.0
    training.tick(1)
    assert turns.seconds() == pytest.approx((11 + 20, 9 + 20)), "what the other kind took is not counted twice"


def test_work_done_before_is_no_faster_for_it() -> None:
    now = 0.0
    pace = Pace(100, clock=lambda: now)
    pace.skip(90)
    now += 2.0
    pace.tick(1)
    assert pace.eta == pytest.approx(18)
