from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vectors.making import STAMP, vector
from vectors.mixture import average, orthogonalised, projected_off, rescaled
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError, weighted_sum


def test_operators_read_like_the_mathematics() -> None:
    a, b = vector(1, "a"), vector(2, "b")
    np.testing.assert_allclose(
        (0.5 * (a + b) - 2 * a).direction, 0.5 * (a.direction + b.direction) - 2 * a.direction, rtol=1e-5
    )
    np.testing.assert_array_equal((-a).direction, -a.direction)


def test_a_mixture_tells_its_recipe() -> None:
    a, b = vector(1, "a"), vector(2, "b")
    mixed = weighted_sum([(a, 1.0), (b, -0.5)])
    assert mixed.name == "a - 0.5 b"
    assert mixed.origin.method == "mixture"
    assert [part["coefficient"] for part in mixed.origin.settings["recipe"]] == [1.0, -0.5]


def test_average_is_the_mean() -> None:
    vectors = [vector(i, f"v{i}") for i in range(5)]
    np.testing.assert_allclose(
        average(vectors).direction, np.mean([v.direction for v in vectors], axis=0), rtol=1e-5, atol=1e-7
    )


@given(st.floats(1e-3, 1e3), st.integers(0, 50))
def test_rescaling_gives_the_norm_and_keeps_the_direction(norm: float, seed: int) -> None:
    scaled = rescaled(vector(seed), norm)
    assert scaled.norm == pytest.approx(norm, rel=1e-5)
    assert scaled.cosine(vector(seed)) == pytest.approx(1.0, abs=1e-6)


def test_projection_leaves_nothing_of_the_others() -> None:
    others = [vector(i) for i in range(1, 4)]
    left = projected_off(vector(0), others)
    assert max(abs(left.cosine(other)) for other in others) < 1e-6


@pytest.mark.parametrize(
    ("other", "word"),
    [
        (vector(1, d_model=6), "width"),
        (vector(1, block=3), "block"),
        (vector(1, stamp=ModelStamp("tiny", 8, 4, "another")), "different models"),
    ],
)
def test_what_does_not_fit_is_refused(other: SteeringVector, word: str) -> None:
    with pytest.raises(VectorError, match=word):
        vector(0) + other


@pytest.mark.parametrize("direction", [[[1.0, 2.0]], [], [float("nan"), 1.0], [float("inf")]])
def test_a_direction_is_one_finite_row(direction: list[float]) -> None:
    with pytest.raises(VectorError):
        SteeringVector(np.array(direction, dtype=np.float32), 0, Origin("test", STAMP, 0))


def test_zero_cannot_be_rescaled() -> None:
    with pytest.raises(VectorError, match="zero"):
        rescaled(0 * vector(1, "z"), 1.0)


def test_a_set_is_orthogonalised_in_order() -> None:
    vectors = [vector(i, f"v{i}") for i in range(4)]
    made = orthogonalised(vectors)
    assert made[0] is vectors[0]
    assert max(abs(a.cosine(b)) for i, a in enumerate(made) for b in made[:i]) < 1e-6
    with pytest.raises(VectorError, match="only rounding would be left"):
        orthogonalised([vectors[0], 2 * vectors[0]])
    np.testing.assert_allclose((vectors[0] / 4).direction, vectors[0].direction / 4, rtol=1e-6)
    with pytest.raises(VectorError, match="by zero"):
        vectors[0] / 0


@pytest.mark.filterwarnings("error")
def test_a_sum_beyond_float32_is_told_and_nothing_is_warned() -> None:
    huge = SteeringVector(np.full(8, 1e35, np.float32), 1, vector().origin)
    with pytest.raises(VectorError, match="not finite"):
        _ = 1e9 * huge
