"""Searches in bfloat16 products find what searches in float32 find, and only where that was asked for or pays."""

from __future__ import annotations

import pytest
import torch

from core.discovery import melbo, ortho
from core.discovery.base_effect_loss import BaseEffectLoss
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.discovery.projections import unit
from core.engine.events import VectorFound
from core.engine.requests import Train
from core.engine.session import Session
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.model.mixed_precision import precision_of
from core.prompt import Prompt
from core.segment.segment import Segment
from tests.tiny_models import tiny_model
from vectors.store.checkpoints import Checkpoints
from vectors.store.library import Library

IDS = list(range(5, 25))
# Experts, linear attention, convolutions, biases: what may mix its numbers by hand; bloom is not replayed.
MODELS = "llama qwen2_moe qwen3_next gemma3_text mixtral gpt2 falcon deepseek_v3 gpt_oss lfm2 bloom".split()


@pytest.fixture(params=[True, False], ids=["with instructions", "without"])
def instructions(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": request.param}, raising=False)
    return bool(request.param)


@pytest.mark.parametrize("model_type", MODELS)
def test_products_alone_are_rounded(model_type: str) -> None:
    model = LanguageModel(tiny_model(model_type), None, model_type)
    exact = Segment(model, IDS, 1, 4)
    rounded = exact.rounded().watched(3)
    assert rounded.precision == "bfloat16"
    thetas = torch.randn(2, model.d_model, requires_grad=True)
    change, expected = rounded.change(thetas), exact.change(thetas)[:, -3:]
    assert change.dtype == torch.float32
    assert 0 < (change - expected).norm() < 0.1 * expected.norm()
    (slope,) = torch.autograd.grad(change.square().sum(), thetas)
    (expected_slope,) = torch.autograd.grad(expected.square().sum(), thetas)
    assert torch.cosine_similarity(slope, expected_slope).min() > 0.98
    assert next(model.model.parameters()).dtype == torch.float32, "the model stays as it was"


def test_power_and_families_come_as_far(tiny: LanguageModel) -> None:
    exact = Problem([Segment(tiny, IDS, 1, 4)], Objective(tokens=6))
    draws = torch.randn(4, tiny.d_model, generator=torch.Generator().manual_seed(0))
    base = 3.0 * unit(torch.ones(tiny.d_model))
    base_effect = BaseEffectLoss(exact, base, "tokens")
    for method, settings, reached in (
        (melbo, melbo.Settings(), lambda rows: float(exact.values(rows).mean())),
        (ortho, ortho.Settings(12), lambda rows: float(base_effect.matched(base_effect.losses(rows)).mean())),
    ):
        assert settings.bears_bfloat16
        ends = []
        for problem in (exact, exact.in_precision("bfloat16")):
            events = method.find(Job(problem, draws, settings, tiny, 3.0, base=base))
            ends.append(torch.cat([event.vectors for event in events if isinstance(event, Found)]))
        assert not torch.equal(*ends)
        assert reached(ends[1]) == pytest.approx(reached(ends[0]), rel=0.15)


def test_blocks_that_do_not_bear_it_stay_as_they_are(tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment(tiny, IDS, 1, 4)

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("expected scalar type Float but found BFloat16")

    monkeypatch.setattr(Segment, "__call__", refuse)
    assert segment.rounded() is segment
    assert segment.precision == "float32"


def test_auto_rounds_where_it_pays_and_finds_the_same(tiny: LanguageModel, instructions: bool) -> None:
    assert precision_of(tiny, "auto", bears_bfloat16=True) == ("bfloat16" if instructions else "float32")
    assert precision_of(tiny, "auto", bears_bfloat16=False) == "float32"
    assert precision_of(tiny, "bfloat16", bears_bfloat16=False) == "bfloat16"
    assert precision_of(tiny, "float32", bears_bfloat16=True) == "float32"
    assert not melbo.Settings(optimizer="adamw").bears_bfloat16
    assert not ortho.Settings(optimizer="adam").bears_bfloat16


def test_a_model_in_half_precision_has_its_own() -> None:
    half = LanguageModel(tiny_model("llama").to(torch.bfloat16), None, "half")
    assert precision_of(half, "auto", bears_bfloat16=True) == precision_of(half, "bfloat16", bears_bfloat16=True) == "bfloat16"
    with pytest.raises(SettingsError, match="loaded in bfloat16") as error:
        precision_of(half, "float32", bears_bfloat16=True)
    assert "--dtype float32" in error.value.remedy
    segment = Segment(half, IDS, 1, 4)
    assert segment.rounded() is segment


def test_a_run_tells_its_precision_and_is_taken_up_in_it(
    tiny: LanguageModel, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = Session(library)
    session.model = tiny
    has = {"amx_bf16": True}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has, raising=False)
    request = Train((Prompt("hello"),), vectors=2, batch=1, radius=3.0, sample_tokens=0, controls=0)

    def steps(request: Train, stop_early: bool) -> list[str]:
        found: list[str] = []
        running = session.start(1, request, lambda event: found.append(event.id) if isinstance(event, VectorFound) else None)
        for _ in running:
            if stop_early and found:
                running.close()
        return [library.load(id).origin.settings["precision"] for id in found]

    assert steps(request, stop_early=True) == ["bfloat16"]
    has.clear()
    (run,) = Checkpoints(library.folder).unfinished()
    left = Checkpoints(library.folder).load(run).header["request"]
    assert steps(Train.from_json({**left, "resume": run}), stop_early=False) == ["bfloat16", "bfloat16"]
    assert steps(request, stop_early=False) == ["float32", "float32"]
    given = Train(request.prompts, vectors=1, radius=3.0, sample_tokens=0, settings={"precision": "bfloat16"})
    assert steps(given, stop_early=False) == ["bfloat16"]
