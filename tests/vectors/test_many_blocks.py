"""A vector over many blocks is one thing: its norm, its cosines, its arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.vectors.making import STAMP, over, vector
from vectors.block_ranges import blocks_of, places, ranges
from vectors.mixture import average, joined, projected_off, rescaled
from vectors.store.similarity import matrix
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError


def _flat(one: SteeringVector, n_blocks: int = 9) -> np.ndarray:
    """The plain mathematics: all blocks of a model side by side, zero where nothing acts."""
    rows = np.zeros((n_blocks, one.d_model))
    rows[list(one.blocks)] = one.directions
    return rows.ravel()


def test_a_single_row_is_what_it_was() -> None:
    one = vector(3, block=5)
    assert one.blocks == (5,)
    assert one.block == 5
    assert one.direction.shape == (8,)
    np.testing.assert_array_equal(one.at(5), one.direction)
    renamed = replace(one, name="b")
    assert (renamed.name, renamed.blocks) == ("b", (5,))
    with pytest.raises(VectorError, match="acts at block 5, not at block 6"):
        one.at(6)


def test_many_blocks_have_no_one_direction() -> None:
    many = over(5, 6, 7)
    assert (many.block, many.d_model) == (5, 8)
    with pytest.raises(VectorError, match=r"a direction at each of blocks 5-7: take a vector of one block"):
        many.direction.any()
    assert replace(many, name="b").blocks == (5, 6, 7)


def test_arithmetic_is_that_of_all_blocks_side_by_side() -> None:
    a, b, one = over(1, 2, 4, seed=1), over(2, 3, seed=2), vector(3, block=7)
    for made, expected in (
        (a - 0.5 * b, _flat(a) - 0.5 * _flat(b)),
        (-a / 4, -_flat(a) / 4),
        (a + one, _flat(a) + _flat(one)),
        (average([a, b]), (_flat(a) + _flat(b)) / 2),
    ):
        np.testing.assert_allclose(_flat(made), expected, rtol=1e-6, atol=1e-7)
    assert (a - b).blocks == (1, 2, 3, 4)
    assert a.norm == pytest.approx(np.linalg.norm(_flat(a)))
    assert rescaled(a, 7).norm == pytest.approx(7)
    assert abs(projected_off(a, [b, one]).cosine(b)) < 1e-6
    assert a.cosine(b) == pytest.approx(_flat(a) @ _flat(b) / a.norm / b.norm)
    assert a.cosine(one) == 0


def test_single_vectors_of_different_blocks_are_not_summed_but_compared() -> None:
    a, b = vector(1, "a", block=2), vector(2, "b", block=3)
    with pytest.raises(VectorError, match="steer with both at once"):
        a + b
    assert a.cosine(b) == pytest.approx(float(a.direction @ b.direction) / a.norm / b.norm, rel=1e-5)


def test_a_matrix_has_each_pair_s_cosine_whatever_their_kinds() -> None:
    some = [over(1, 2, 4, seed=1), vector(2, block=2), vector(3, block=3), over(2, 3, seed=4)]
    expected = [[a.cosine(b) for b in some] for a in some]
    np.testing.assert_allclose(matrix(some), expected, atol=1e-6)


def test_joining_keeps_every_direction_and_adds_nothing_up() -> None:
    parts = [vector(i, f"p{i}", block=i) for i in (4, 2, 3)]
    whole = joined(parts, "whole")
    assert (whole.blocks, whole.origin.method, whole.origin.source) == ((2, 3, 4), "joined", 2)
    for part in parts:
        np.testing.assert_array_equal(whole.at(part.block), part.direction)
    assert joined([whole, vector(9, block=7)]).blocks == (2, 3, 4, 7)


@pytest.mark.parametrize(
    ("parts", "wrong"),
    [
        ([vector(1, "a", 2), vector(2, "b", 2)], "a and b both act on block 2.*leave one out, or mix"),
        ([over(1, 2), vector(2, "b", 2)], "both act on block 2"),
        ([vector(1, "a", 2), vector(2, "b", 3, d_model=6)], "width"),
        ([vector(1, "a", 2), vector(2, "b", 3, stamp=ModelStamp("tiny", 8, 4, "other"))], "different models"),
        ([vector(1, "a", 2)], "nothing to join"),
    ],
)
def test_what_cannot_be_joined(parts: list[SteeringVector], wrong: str) -> None:
    with pytest.raises(VectorError, match=wrong):
        joined(parts)


@pytest.mark.parametrize(
    ("rows", "blocks", "wrong"),
    [
        (np.ones((2, 3)), (4, 2), "rise"),
        (np.ones((2, 3)), (2, 2), "rise"),
        (np.ones((2, 3)), (2, 3, 4), "2 directions cannot act at 3 blocks"),
        (np.ones((2, 3)), (9_999, 10_000), "no model has"),
        (np.ones((2, 3)), (-1, 0), "count from 0"),
        (np.array([[1, np.nan], [1, 1]]), (1, 2), "not finite"),
        (np.ones((0, 3)), (), "array of shape"),
        (np.ones(3), (1,), "array of shape"),
    ],
)
def test_what_is_no_vector(rows: np.ndarray, blocks: Sequence[int], wrong: str) -> None:
    with pytest.raises(VectorError, match=wrong):
        SteeringVector(rows, blocks, Origin("test", STAMP, 0))


def test_every_block_is_held_against_the_model() -> None:
    assert over(1, 3).misfit(STAMP) == ""
    assert "acts on blocks 1-4; tiny has blocks 0 to 3" in over(1, 2, 3, 4).misfit(STAMP)


@pytest.mark.parametrize(("blocks", "text"), [((5,), "5"), ((5, 6, 7), "5-7"), ((0, 1, 3, 7, 8), "0-1,3,7-8")])
def test_blocks_are_read_as_they_are_written(blocks: tuple[int, ...], text: str) -> None:
    assert ranges(blocks) == text
    assert blocks_of(text) == blocks
    assert places(blocks) == ("block " if len(blocks) == 1 else "blocks ") + text


@pytest.mark.parametrize("text", ["", "a", "3-2", "1,1", "1-3,2", "-1", "0-10000", "1-", "9" * 30, "1 2"])
def test_other_texts_are_no_blocks(text: str) -> None:
    with pytest.raises(VectorError, match="names no blocks"):
        blocks_of(text)
