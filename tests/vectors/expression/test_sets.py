"""Which tokens and which blocks a set has."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vectors.expression import Blocks, ExpressionError, Tokens

P = 4  # tokens of the prompt


@pytest.mark.parametrize(
    ("text", "steered", "spans"),
    [
        ("all", [0, 1, 2, 3, 4, 5, 6, 7], ((0, None),)),
        ("prompt", [0, 1, 2, 3], ((0, 4),)),
        ("generated", [4, 5, 6, 7], ((4, None),)),
        ("first:2", [0, 1], ((0, 2),)),
        ("first:6", [0, 1, 2, 3, 4, 5], ((0, 6),)),
        ("after:2", [2, 3, 4, 5, 6, 7], ((2, None),)),
        ("after:0", [0, 1, 2, 3, 4, 5, 6, 7], ((0, None),)),
        ("last:1", [3], ((3, 4),)),
        ("last:9", [0, 1, 2, 3], ((0, 4),)),
        ("at:5", [5], ((5, 6),)),
        ("at:0,1,2", [0, 1, 2], ((0, 3),)),
        ("at:6,0,2,3", [0, 2, 3, 6], ((0, 1), (2, 4), (6, 7))),
    ],
)
def test_a_token_set_has_these_positions(text: str, steered: list[int], spans: object) -> None:
    tokens = Tokens.parse(text)
    assert [position for position in range(8) if tokens.includes(position, P)] == steered
    assert tokens.spans(P) == spans
    assert tokens.span(P) == (tokens.spans(P)[0] if len(tokens.spans(P)) == 1 else None)
    assert Tokens.parse(str(tokens)) == tokens


@pytest.mark.parametrize("prompt", [0, 1, 4])
def test_the_positions_of_earlier_versions_mean_the_same(prompt: int) -> None:
    last = [(max(prompt - k, 0), prompt) for k in (2, 9)]
    spans = {"all": (0, None), "generated": (prompt, None), "from:0": (0, None), "from:3": (3, None), "last:2": last[0],
             "last:9": last[1]}  # fmt: skip
    assert {text: Tokens.parse(text).span(prompt) for text in spans} == spans


@settings(max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=10))
def test_the_spans_of_listed_positions_rise_and_are_apart(positions: list[int]) -> None:
    spans = Tokens("at", tuple(positions)).spans(5)
    assert sorted(set(positions)) == [i for first, end in spans for i in range(first, end or 0)]
    assert all(one[1] is not None and one[1] < other[0] for one, other in pairwise(spans))


def test_an_empty_prompt_has_no_last_tokens() -> None:
    assert not any(Tokens.parse(text).includes(0, 0) for text in ("last:3", "prompt"))


def test_block_sets() -> None:
    own, everywhere, some = Blocks.parse("own"), Blocks.parse("all"), Blocks.parse("5-7")
    assert [str(one) for one in (own, everywhere, some, Blocks.parse("5"))] == ["own", "all", "5-7", "5-5"]
    assert [block for block in range(9) if own.includes(block, (2, 6))] == [2, 6]
    assert [block for block in range(9) if some.includes(block, (2, 6))] == [5, 6, 7]
    assert all(everywhere.includes(block, ()) for block in range(9))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [("all", (1,)), ("first", ()), ("first", (1, 2)), ("from", (1,)), ("at", ()), ("last", (0,)), ("at", (-1,))],
)
def test_token_sets_that_are_none_are_refused(kind: str, numbers: tuple[int, ...]) -> None:
    with pytest.raises(ExpressionError):
        Tokens(kind, numbers)


@pytest.mark.parametrize(
    ("kind", "first", "last"), [("some", 0, 0), ("all", 1, 1), ("own", 0, 1), ("range", 2, 1), ("range", 0, 10_000)]
)
def test_block_sets_that_are_none_are_refused(kind: str, first: int, last: int) -> None:
    with pytest.raises(ExpressionError):
        Blocks(kind, first, last)
