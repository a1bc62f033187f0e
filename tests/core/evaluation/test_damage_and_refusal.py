from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.damage import is_broken, repetition
from core.evaluation.refusal import refuses


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


@given(st.text())
def test_repetition_is_a_share(text: str) -> None:
    assert 0 <= repetition(text) <= 1
