from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from core.discovery import melbo
from core.discovery.calibration import Calibration, calibrate, crossing
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job, Step
from core.discovery.projections import Basis, all_at_once, row_by_row, unit
from core.engine.generators import drained
from core.engine.requests import Train
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.segment.objective_tokens import parse_tokens
from core.segment.segment import Segment

IDS = [5, 9, 17, 33, 65, 129, 7]


@pytest.fixture(scope="module")
def problem(tiny: LanguageModel) -> Problem:
    return Problem([Segment(tiny, IDS, 1, 4)], Objective(tokens=3))


def _draws(n: int, d: int = 32) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(0))


def _find(model: LanguageModel, problem: Problem, radius: float, draws: torch.Tensor, **settings: Any) -> Any:
    return melbo.find(Job(problem, draws, melbo.Settings(**settings), model, radius))


def _ordered(rows: torch.Tensor) -> torch.Tensor:
    return Basis(rows[:0]).in_order(rows)


def test_the_best_so_far_never_falls_and_is_what_comes_back(tiny: LanguageModel, problem: Problem) -> None:
    best: list[tuple[float, ...]] = []
    for event in _find(tiny, problem, 20.0, _draws(4), steps=25):
        if isinstance(event, Step):
            best.append(tuple(event.objective.tolist()))
        else:
            assert event.objective.tolist() == pytest.approx(problem.values(event.vectors)[0].tolist(), rel=1e-4)
            assert all(o >= b for o, b in zip(event.objective.tolist(), best[-1], strict=True))
    for before, after in itertools.pairwise(best):
        assert all(a >= b for b, a in zip(before, after, strict=True))


def test_it_beats_random_directions(tiny: LanguageModel, problem: Problem) -> None:
    found = next(e for e in _find(tiny, problem, 3.0, _draws(4)) if isinstance(e, Found))
    random = problem.values(3.0 * unit(_draws(50)))[0]
    assert found.objective.min() > random.max()


@pytest.mark.parametrize("optimizer", ["power", "adamw"])
def test_orthogonal_vectors_are(tiny: LanguageModel, problem: Problem, optimizer: str) -> None:
    vectors = torch.cat(
        [
            e.vectors
            for e in _find(tiny, problem, 3.0, _draws(7), steps=6, optimizer=optimizer, orthogonal=True, batch=3)
            if isinstance(e, Found)
        ]
    ).double()
    cosines = unit(vectors) @ unit(vectors).T - torch.eye(7)
    assert cosines.abs().max() < 1e-6
    torch.testing.assert_close(vectors.norm(dim=-1), torch.full((7,), 3.0, dtype=torch.float64), rtol=1e-5, atol=0)


def test_a_vector_does_not_depend_on_its_batch(tiny: LanguageModel, problem: Problem) -> None:
    one, many = (
        torch.cat([e.vectors for e in _find(tiny, problem, 3.0, _draws(5), steps=5, batch=batch) if isinstance(e, Found)])
        for batch in (1, 5)
    )
    torch.testing.assert_close(one, many, rtol=1e-3, atol=1e-4)


def test_closing_at_any_step_leaves_the_model_clean(tiny: LanguageModel, problem: Problem) -> None:
    steps = _find(tiny, problem, 3.0, _draws(2), steps=5)
    next(steps)
    steps.close()  # type: ignore[attr-defined]
    assert not any(block._forward_hooks or block._forward_pre_hooks for block in tiny.blocks)
    assert not torch.is_inference_mode_enabled()


def _calibrated(problem: Problem, **kwargs: float) -> Calibration:
    return drained(calibrate(problem, **kwargs))  # type: ignore[arg-type]


def test_the_radius_lies_where_nonlinearity_reaches_the_ratio(tiny: LanguageModel, problem: Problem) -> None:
    found = _calibrated(problem, ratio=0.3)
    radii, _ratios = zip(*found.curve, strict=True)
    assert list(radii) == sorted(radii)
    below = max(n for r, n in found.curve if r <= found.radius)
    above = min(n for r, n in found.curve if r >= found.radius)
    assert below == pytest.approx(0.3, abs=0.02)
    assert above == pytest.approx(0.3, abs=0.02)
    assert _calibrated(problem, ratio=0.2).radius < found.radius


@given(st.floats(1, 4095), st.floats(0.2, 4), st.sampled_from(["power", "saturating", "stairs", "overflowing", "flat"]))
def test_the_cell_is_bisection_s(at: float, slope: float, shape: str) -> None:
    def value(cell: int) -> float:
        power = math.exp(slope * 0.0025 * (cell - at))
        return {
            "power": power,
            "saturating": 2 * power / (1 + power),
            "stairs": 0.0 if cell < at else 1.0,
            "overflowing": power if cell < at + 50 else math.inf,
            "flat": 1 + 1e-9 * (cell - at),
        }[shape]

    low, high = 0, 4096
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if value(middle) < 1 else (low, middle)
    found, tried = drained(crossing(value, 1.0))
    assert found == low
    assert len(tried) <= (6 if shape == "power" else 32)


@given(st.integers(1, 12), st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_row_s_projection_depends_on_no_later_row(n: int, seed: int) -> None:
    rows = torch.randn(n, 16, generator=torch.Generator().manual_seed(seed))
    whole = _ordered(rows)
    torch.testing.assert_close(whole[: n // 2], _ordered(rows[: n // 2]))


@given(st.integers(1, 24), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_all_rows_at_once_are_projected_as_one_after_another(n: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, 48, generator=generator, dtype=torch.float64) * torch.logspace(-3, 3, n, dtype=torch.float64)[:, None]
    if n > 6:
        rows[2], rows[4], rows[5] = 0, rows[1], rows[0] + 1e-3 * rows[3]
    kept, expected = all_at_once(rows), row_by_row(rows)
    scale = rows.norm(dim=-1, keepdim=True).clamp_min(1e-30)
    torch.testing.assert_close(kept / scale, expected / scale, rtol=0, atol=1e-9)
    directions = unit(kept)
    cosines = directions @ directions.T - torch.diag((directions.norm(dim=-1) > 0.5).double())
    assert float(cosines.abs().max()) < 1e-9


@pytest.mark.parametrize(("power", "root"), [(1.0, 1.0), (2.0, 2.0), (4.0, 1.0), (3.0, 2.0)])
def test_the_objective_is_the_formula_and_its_gradient_is_finite_at_zero(power: float, root: float) -> None:
    change = torch.randn(2, 5, 8)
    expected = (change.norm(dim=-1) ** power).sum(-1) ** (1 / root)
    torch.testing.assert_close(Objective(power, root, "features", None)(change), expected, rtol=1e-4, atol=1e-5)
    zero = torch.zeros(1, 5, 8, requires_grad=True)
    Objective(power, root, "features", None)(zero).sum().backward()
    assert zero.grad is not None
    assert torch.isfinite(zero.grad).all()


def test_a_token_that_dominates_is_named(tiny: LanguageModel) -> None:
    segment = Segment(tiny, IDS, 1, 4)
    segment.base[0] *= 1e4
    position, share = Problem([segment], Objective(tokens=None)).dominant_token() or (None, 0.0)
    assert position == 0
    assert share > 0.99
    assert Problem([segment], Objective(tokens=3)).dominant_token() is None


def test_impossible_settings() -> None:
    for radius in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(SettingsError, match="radius"):
            Train((Prompt("a"),), radius=radius)
    for wrong in ({"steps": 0}, {"settings": {"lr": 1}}, {"method": "sgd"}, {"vectors": 0}, {"method": "ortho"}):
        with pytest.raises(SettingsError):
            Train((Prompt("a"),), **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError):
        melbo.Settings(optimizer="sgd")
    for text in ("first:3", "last", "last:0", "last:-1", "6", "last:" + "9" * 5000):
        with pytest.raises(SettingsError):
            parse_tokens(text)
    assert (parse_tokens("all"), parse_tokens("last:4")) == (None, 4)
