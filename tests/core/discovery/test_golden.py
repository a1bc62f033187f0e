"""The published MELBO loop, step for step: trajectories recorded from the published code (tests/golden/README.md)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from core.discovery import melbo, ortho
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Found, Job
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from tests.conftest import GOLDEN

CASES = json.loads((GOLDEN / "cases.json").read_text())
NAMES = ["plain", "last3", "orthogonal", "two_prompts", "power4_q1"]


@pytest.fixture(scope="module")
def golden() -> dict[str, torch.Tensor]:
    return load_file(GOLDEN / "trajectories.safetensors")


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel.load(GOLDEN / "model", "golden", device="cpu")


def _problem(model: LanguageModel, golden: dict[str, torch.Tensor], case: dict[str, Any], axis: str = "tokens") -> Problem:
    source, target = CASES["source_block"], CASES["target_hidden_state_index"] - 1
    segments = [Segment(model, golden[f"prompt.{p}"][0].tolist(), source, target) for p in case["prompts"]]
    tokens = None if case["target_tokens"] == "all" else int(case["target_tokens"].split()[1])
    return Problem(segments, Objective(case["power"], case["q"], axis, tokens))


def _run(
    model: LanguageModel, problem: Problem, radius: float, settings: melbo.Settings, start: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    found = [event for event in melbo.find(Job(problem, start, settings, model, radius)) if isinstance(event, Found)]
    parts = [(f.losses, f.vectors, f.objective) for f in found]
    losses, vectors, objectives = (torch.cat(list(column)) for column in zip(*parts, strict=True))
    return losses, vectors, objectives


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 8])
def test_adamw_is_the_published_loop(name: str, batch: int, model: LanguageModel, golden: dict[str, torch.Tensor]) -> None:
    case = CASES[name]
    settings = melbo.Settings(case["steps"], batch, "adamw", orthogonal=case["orthogonal"])
    losses, vectors, _ = _run(model, _problem(model, golden, case), case["radius"], settings, golden[f"{name}.random_init"])
    torch.testing.assert_close(losses, golden[f"{name}.losses"], rtol=1e-4, atol=0)
    torch.testing.assert_close(vectors, golden[f"{name}.vectors"], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_power_climbs_higher_in_a_fraction_of_the_steps(
    name: str, model: LanguageModel, golden: dict[str, torch.Tensor]
) -> None:
    case = CASES[name]
    problem = _problem(model, golden, case)
    _, vectors, objective = _run(
        model, problem, case["radius"], melbo.Settings(12, orthogonal=case["orthogonal"]), golden[f"{name}.random_init"]
    )
    published = problem.values(golden[f"{name}.vectors"]).sum(dim=0)
    assert (objective > published).all()
    torch.testing.assert_close(vectors.norm(dim=-1), torch.full((len(vectors),), case["radius"]))


def test_adam_one_by_one_is_the_published_family(model: LanguageModel, golden: dict[str, torch.Tensor]) -> None:
    case = CASES["ortho"]
    problem = _problem(model, golden, {**case, "target_tokens": "all", "power": 2, "q": 2})
    settings = ortho.Settings(case["steps"], 1, "adam", case["lr"], match="mean", start_norm=None)
    base, start = golden["ortho.base"], golden["ortho.random_init"]
    found = [e for e in ortho.find(Job(problem, start, settings, model, base=base)) if isinstance(e, Found)]
    torch.testing.assert_close(torch.cat([f.losses for f in found]), golden["ortho.losses"], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(torch.cat([f.vectors for f in found]), golden["ortho.vectors"], rtol=0, atol=1e-3)


def test_the_norm_axes_agree_for_power_two_and_differ_for_four(model: LanguageModel, golden: dict[str, torch.Tensor]) -> None:
    thetas = golden["plain.vectors"]
    by_axis = {
        (power, axis): _problem(model, golden, {**CASES["last3"], "power": power, "q": 1}, axis).values(thetas)
        for power in (2, 4)
        for axis in ("tokens", "features")
    }
    torch.testing.assert_close(by_axis[2, "tokens"], by_axis[2, "features"])
    assert not torch.allclose(by_axis[4, "tokens"], by_axis[4, "features"], rtol=1e-2)
