"""How fast work goes and how long it still takes, by a clock that the test moves."""

from __future__ import annotations

import pytest

from core.engine.throughput import Pace, Turns


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
