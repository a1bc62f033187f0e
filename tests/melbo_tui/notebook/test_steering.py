"""`Steering` as a notebook writes it."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest

import melbo_tui
from core.engine.results import Trained
from melbo_tui import Library, Steering
from tests.vectors.making import vector
from vectors.expression import ExpressionError


@pytest.fixture
def kept(library: Library) -> Library:
    library.add([vector(i, name, block) for i, (name, block) in enumerate((("calm", 7), ("harm", 9), ("a - b", 7)))])
    return library


def test_what_is_parsed_is_written_again(kept: Library) -> None:
    text = '1.5 calm - 0.5 "a - b"@generated + !harm@blocks:all@when:calm>0.5'
    steering = Steering.parse(text, kept)
    assert str(steering) == text
    assert repr(steering) == f"<Steering: {text}>"
    assert [term.vector.id for term in steering.terms] == [kept.find(name).id for name in ("calm", "a - b", "harm")]
    gate = steering.terms[2].gate
    assert gate is not None
    assert gate.vector.id == kept.find("calm").id
    assert str(Steering.parse("a - b", kept)) == '"a - b"', "a name of the library means itself"


def test_arithmetic_is_on_coefficients(kept: Library) -> None:
    steering = Steering.parse("1.5 calm - 2 !harm", kept)
    other = Steering(kept.load(kept.find("harm").id), operation="set", blocks="2-3", positions="after:1")
    assert str(-steering) == "-1.5 calm + 2 !harm"
    assert str(steering * 0.5) == str(0.5 * steering) == str(steering / 2) == "0.75 calm - !harm"
    assert str(steering - other) == "1.5 calm - 2 !harm - harm@after:1@blocks:2-3@set"
    assert str(steering) == "1.5 calm - 2 !harm", "as it was"
    assert (str(Steering()), repr(Steering())) == ("", "<Steering: none>")
    with pytest.raises(melbo_tui.MelboError, match="divided by zero"):
        steering / 0
    with pytest.raises(TypeError):
        steering + 1  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "column", "told"),
    [
        ("calm + clam", 8, "did you mean calm"),
        ("calm@gnerated", 5, "did you mean @generated"),
        ("calm + 1e999 harm", 8, "from -1"),
    ],
)
def test_what_is_wrong_has_a_column(kept: Library, text: str, column: int, told: str) -> None:
    with pytest.raises(ExpressionError, match=told) as raised:
        Steering.parse(text, kept)
    assert raised.value.column == column


def test_what_is_no_steering_is_told_with_what_to_write() -> None:
    a, b = vector(0, "a"), vector(1, "b")
    no_model: melbo_tui.LoadedModel = None  # type: ignore[assignment]  # refused before it is looked at
    refused: tuple[tuple[object, str, str], ...] = (
        ([a, b], "a list of vectors is no steering", r"Steering\(a\) \+ Steering\(b\)"),
        ("a", "a text does not say which library", "Steering.parse"),
        (1.5, "float is no steering", "give a SteeringVector"),
    )
    for given, message, remedy in refused:
        takers: tuple[Callable[[object], object], ...] = (
            lambda one: melbo_tui.generate(no_model, "Hi", one),  # type: ignore[call-overload]
            lambda one: Steering(one),  # type: ignore[arg-type]
        )
        for take in takers:
            with pytest.raises(melbo_tui.MelboError, match=message) as raised:
                take(given)
            assert re.search(remedy, raised.value.remedy)


def test_what_notebooks_print_is_short() -> None:
    one = vector(0, "calm", 7)
    shown = repr(one)
    assert shown.startswith("<calm: block 7, norm ")
    assert len(shown) < 100
    many = Trained(1, "20261127-1", tuple(vector(i, f"v{i}") for i in range(64)), np.zeros((64, 20), np.float32))
    assert repr(many) == "<Trained: run 20261127-1, 64 vectors (v0, v1, v2 ...), 20 steps>"
