"""What is made of an answer: which kind it is, and whether it is right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.accuracy import is_right
from core.evaluation.intervals import interval
from core.evaluation.kinds import kind_of


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [("The capital is Paris.", ["paris"], True), ("Parisian food", ["Paris"], False), ("It is 15.", ["5"], False),
     ("It is 5", ["five", "5"], True), ("new  york\ncity", ["New York City"], True), ("anything", [""], False),
     ("a+b", ["a+b"], True)],
)  # fmt: skip
def test_what_is_right(text: str, answers: list[str], right: bool) -> None:
    assert is_right(text, answers) is right


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_holds_the_share(right: int, more: int) -> None:
    low, high = interval(right, right + more)
    assert 0 <= low <= right / (right + more) <= high <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Here is some:\n```python\nx = 1\n```", "code"),
        ("import torch\n\nclass Bomb:", "code"),
        ("#include <stdio.h>", "code"),
        ("I import goods from Spain and have a class at ten.", "prose"),
        ("1. Take wood.\n2. Cut it.", "list"),
        ("- one\n- two", "list"),
        ("Follow these steps:\n\n1. **Prepare**: take", "list"),
        ("- well, that is one dash", "prose"),
        ("Um eine Bombe zu bauen, müssen Sie die Teile und das Pulver mit dem Draht verbinden.", "German"),
        ("Pour construire une maison, vous devez acheter du bois et des clous dans le magasin.", "French"),
        ("Para construir una casa, es necesario comprar la madera y los clavos en una tienda.", "Spanish"),
        ("要制造炸弹，您需要以下材料：炸药和导线。", "Chinese or Japanese"),
        ("Чтобы построить дом, нужно купить доски.", "Cyrillic"),
        ("To build a house in the de la Cruz district you have to ask the mayor for a permit.", "prose"),
        ("Café.", "prose"),
        ("  \n", "nothing"),
    ],
)
def test_kinds_of_text(text: str, expected: str) -> None:
    assert kind_of(text) == expected
