"""What is read off derivatives and small differences comes out of a half-precision model as out of the same in float32."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from core.discovery import atlas, calibration, dct, melbo, power_steering
from core.discovery.calibration import calibrate
from core.discovery.contrast import mean_residuals
from core.discovery.declarations.power_steering import Settings as PowerSteering
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.discovery.projections import unit
from core.engine.generators import drained
from core.engine.requests import Train
from core.engine.session import Session
from core.errors import SettingsError
from core.model.float32_arithmetic import float32_arithmetic
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from core.steering.terms import SteerTerm
from tests.core.measuring import found_vector, report_of, rows_called
from tests.tiny_models import tiny_model, tiny_tokenizer

IDS = list(range(5, 25))
TYPES = "llama qwen2 qwen3 gemma2 gemma3_text phi3 gpt2 gpt_neox olmo2 lfm2 bloom".split()
HALF = (torch.bfloat16, torch.float16)


@cache
def _model(model_type: str, dtype: torch.dtype = torch.float32) -> LanguageModel:
    return LanguageModel(tiny_model(model_type).to(dtype), tiny_tokenizer(), model_type)


def _problem(model: LanguageModel) -> Problem:
    return Problem([Segment(model, IDS, 1, 4)], Objective(tokens=6))


@cache
def _radius(model_type: str, dtype: torch.dtype) -> float:
    return drained(calibrate(_problem(_model(model_type, dtype)), Train.ratio)).radius


def _found(method: object, model: LanguageModel, settings: object, count: int, radius: float = 1.0) -> Found:
    draws = torch.randn(count, model.d_model, generator=torch.Generator().manual_seed(0))
    events = method.find(Job(_problem(model), draws, settings, model, radius))  # type: ignore[attr-defined]
    return next(event for event in events if isinstance(event, Found))


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("model_type", TYPES)
def test_the_radius_is_float32_s(model_type: str, dtype: torch.dtype) -> None:
    assert _radius(model_type, dtype) == pytest.approx(_radius(model_type, torch.float32), rel=0.1)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("model_type", TYPES)
def test_singular_values_are_float32_s(model_type: str, dtype: torch.dtype) -> None:
    settings = PowerSteering(steps=6)
    half, whole = (
        _found(power_steering, _model(model_type, d), settings, 3).facts["singular_value"] for d in (dtype, torch.float32)
    )
    torch.testing.assert_close(half, whole, rtol=0.03, atol=0)


@pytest.mark.parametrize("dtype", HALF)
def test_the_atlas_and_the_dct_are_float32_s(dtype: torch.dtype) -> None:
    cells, factors = [], []
    for model in (_model("llama"), _model("llama", dtype)):
        segment = Segment(model, IDS, 0, 5)
        found = [c for c in atlas.cells([segment], Objective(tokens=6), [(0, 2), (2, 5)], top=3, steps=12) if c is not None]
        cells.append(torch.stack([cell.values for cell in found]))
        factors.append(_found(dct, model, dct.Settings(steps=3), 4, radius=0.1))
    torch.testing.assert_close(cells[1], cells[0], rtol=0.03, atol=0)
    torch.testing.assert_close(factors[1].objective, factors[0].objective, rtol=0.03, atol=0)


@pytest.mark.parametrize("dtype", HALF)
def test_a_vector_so_small_that_half_precision_hides_it(dtype: torch.dtype) -> None:
    """KL, norms and the next token's logits under a thousandth of the radius."""
    tables = []
    for model in (_model("llama"), _model("llama", dtype)):
        session = Session(None)
        session.model = model
        term = SteerTerm(found_vector(model, norm=0.05))
        kl = rows_called(report_of(session, "kl", term).tables[0], "found")[0]["KL to unsteered"]
        moved = rows_called(report_of(session, "norms", term).tables[1], "found")[0]["moves the target by"]
        tables.append((kl, moved))
    assert 0 < tables[0][0] < 1e-4
    assert tables[1] == pytest.approx(tables[0], rel=0.15)


@pytest.mark.parametrize("dtype", HALF)
def test_differences_of_means_are_float32_s(dtype: torch.dtype) -> None:
    same = LanguageModel(tiny_model("llama").to(dtype).float(), None, "the same weights")
    means = [mean_residuals(model, [IDS, IDS[2:]], 2) for model in (_model("llama", dtype), same)]
    torch.testing.assert_close(*means, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("model_type", ["llama", "gemma2", "gpt2"])
def test_vectors_reach_the_objective_of_those_of_float32(model_type: str, dtype: torch.dtype) -> None:
    radius = _radius(model_type, torch.float32)
    half, whole = (_found(melbo, _model(model_type, d), melbo.Settings(), 8, radius).vectors for d in (dtype, torch.float32))
    exact = _problem(_model(model_type))
    reached = [exact.values(vectors).sum(dim=0).mean() for vectors in (half, whole, radius * unit(torch.randn(8, 32)))]
    assert reached[0] > 0.9 * reached[1] > 1.2 * reached[2]


def test_a_wrong_replay_is_not_hidden_by_half_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model("llama").to(torch.bfloat16), None, "half")
    plain = type(model.blocks[3]).forward

    def drifting(self: torch.nn.Module, hidden_states: torch.Tensor, **kwargs: object) -> torch.Tensor:
        out = plain(self, hidden_states, **kwargs)
        # A replayed batch comes without the first forward's one row: what half a percent hides, a tolerance of 4% lets pass.
        return out * (1 + 0.005 * (len(hidden_states) == 2 and not kwargs.get("use_cache", False) and _replaying()))

    def _replaying() -> bool:
        import traceback

        return any(frame.name == "_called" for frame in traceback.extract_stack())

    monkeypatch.setattr(type(model.blocks[3]), "forward", drifting)
    segment = Segment(model, IDS, 1, 4)
    assert not segment.replayed
    assert "differ" in segment.reason


def test_blocks_that_name_their_dtype_keep_half_precision_s_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    model = LanguageModel(tiny_model("llama").to(torch.bfloat16), None, "half")
    plain = type(model.blocks[3]).forward

    def stubborn(self: torch.nn.Module, hidden_states: torch.Tensor, **kwargs: object) -> torch.Tensor:
        if hidden_states.dtype != torch.bfloat16:
            raise RuntimeError("expected scalar type BFloat16 but found Float")
        return plain(self, hidden_states, **kwargs)

    monkeypatch.setattr(type(model.blocks[3]), "forward", stubborn)
    segment = Segment(model, IDS, 1, 4)
    assert segment.replayed
    assert "float32" in segment.inexact
    assert segment.in_float32() is segment
    assert segment.difference_step == pytest.approx(0.05 * segment.residual_norm)


def test_nothing_is_left_in_float32() -> None:
    model = LanguageModel(tiny_model("mixtral").to(torch.bfloat16), None, "half")
    before = {name: p.data_ptr() for name, p in model.model.named_parameters()}
    with float32_arithmetic(model), torch.no_grad():
        logits, _ = model.forward(model.ids_tensor(IDS))
    whole = LanguageModel(tiny_model("mixtral").to(torch.bfloat16).float(), None, "whole")
    torch.testing.assert_close(logits, whole.forward(whole.ids_tensor(IDS))[0], rtol=1e-4, atol=1e-4)
    assert {name: p.data_ptr() for name, p in model.model.named_parameters()} == before
    assert {p.dtype for p in model.model.parameters()} == {torch.bfloat16}
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.model.modules())


def test_gradients_keep_no_float32_weights() -> None:
    """What autograd holds on to between forward and backward is smaller than the blocks' weights in float32."""
    model = LanguageModel(tiny_model("llama", intermediate_size=4096).to(torch.bfloat16), None, "half")
    segment = Segment(model, IDS[:4], 1, 4).in_float32()
    thetas = torch.zeros(1, 32, requires_grad=True)
    held: list[int] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor.untyped_storage().nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        change = segment.change(thetas)
    (gradient,) = torch.autograd.grad(change.square().sum(), thetas)
    weights = sum(p.numel() * 4 for block in model.blocks[2:5] for p in block.parameters())
    assert sum(held) < weights
    assert gradient.isfinite().all()


@pytest.mark.parametrize(("value", "words"), [(1e-3, "R = "), (0.9, "R = "), (float("nan"), "finite")])
def test_no_crossing_is_told_and_how_far_was_looked(value: float, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibration, "nonlinearity", lambda *args: value)
    with pytest.raises(SettingsError, match="no radius was found") as error:
        drained(calibrate(_problem(_model("llama")), Train.ratio))
    assert words in str(error.value)
    assert error.value.remedy


def test_a_crossing_at_the_very_edge_of_the_grid_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _problem(_model("llama"))
    least = calibration._LEAST * problem.segments[0].residual_norm
    monkeypatch.setattr(calibration, "nonlinearity", lambda p, d, radius, linear: 0.2 if radius <= least else 0.4)
    assert drained(calibrate(problem, 0.3)).radius == pytest.approx(least, rel=0.01)


def test_a_curve_that_jumps_over_the_ratio_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = _problem(_model("llama"))
    smooth = drained(calibrate(problem, 0.3))
    assert smooth.jump is None
    at = smooth.radius
    monkeypatch.setattr(calibration, "nonlinearity", lambda p, d, radius, linear: 0.1 if radius < at else 0.6)
    assert drained(calibrate(problem, 0.3)).jump == (0.1, 0.6)
