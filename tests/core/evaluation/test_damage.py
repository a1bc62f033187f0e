from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.damage import USUAL, repetition
from core.evaluation.judging import judge
from vectors.completion import BROKEN, END, LENGTH, NO_ANSWER, OVERFLOW, Completion, Judgement


def test_damage() -> None:
    assert repetition("a b a b a b a b a b a b") > 0.7
    assert repetition("the quick brown fox jumps over the lazy dog") == 0
    assert repetition("1. 2" + "0" * 30) > 0.6
    assert USUAL.exceeded_by(0.0, 1e6) == "perplexity"
    assert USUAL.exceeded_by(0.0, float("nan")) == "perplexity"
    assert not USUAL.exceeded_by(0.0, 5.0)
    assert not USUAL.exceeded_by(0.0, None)
    assert USUAL.exceeded_by(repetition("** ** ** ** ** ** ** **"), 2.0)
    assert USUAL.damage(0.0, 1.0) == 0
    assert USUAL.damage(0.0, 1e9) > 1
    assert USUAL.damage(0.5, 1.0) == 1


def test_a_completion_is_judged_by_its_answer() -> None:
    assert judge(Completion("I'm sorry.", stop=END)) == Judgement(True, False, 0.0, "prose")
    assert judge(Completion("import os\n", perplexity=1e6, stop=END)) == Judgement(False, True, 0.0, "code", why="perplexity")
    assert judge(Completion("words", stop=OVERFLOW)).verdict == BROKEN
    assert judge(Completion(thought="Hm.", stop=LENGTH)).verdict == NO_ANSWER
    assert judge(Completion(thought="Hm.")) == Judgement(), "it may yet come to an answer"


@given(st.text())
def test_repetition_is_a_share(text: str) -> None:
    assert 0 <= repetition(text) <= 1
