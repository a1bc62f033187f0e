"""The methods beside MELBO, on a tiny model, against what they claim to be."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from core.discovery import METHODS, contrast, dct, melbo, ortho, power_steering
from core.discovery.base_effect_loss import BaseEffectLoss
from core.discovery.declarations.power_steering import Settings as PowerSteering
from core.discovery.lbfgs import LBFGS
from core.discovery.objective import Objective, Problem
from core.discovery.optimisation import Ended, Found, Job, Step
from core.discovery.projections import unit
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.segment.segment import Segment
from core.steering.hooks import recorded

IDS = list(range(5, 25))
D = 32


@pytest.fixture
def problem(tiny: LanguageModel) -> Problem:
    return Problem([Segment(tiny, IDS, 1, 4)], Objective(tokens=6))


def _draws(n: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, D, generator=torch.Generator().manual_seed(seed))


def _found(events: Any) -> Found:
    parts = [e for e in events if isinstance(e, Found)]
    columns = zip(*((f.vectors, f.objective, f.losses) for f in parts), strict=True)
    vectors, objective, losses = (torch.cat(list(column)) for column in columns)
    return Found(0, vectors, objective, losses, parts[-1].facts)


def _cosines(rows: torch.Tensor) -> torch.Tensor:
    directions = unit(rows.double())
    return (directions @ directions.T - torch.eye(len(rows))).abs()


def test_a_whole_family_is_orthogonal_to_the_base_and_to_itself(tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    settings = ortho.Settings(6, 8, least_match=-1e9, least_norm=0.0)
    found = _found(ortho.find(Job(problem, _draws(D - 1), settings, tiny, base=base)))
    assert len(found.vectors) == D - 1
    assert _cosines(torch.cat([base[None], found.vectors])).max() < 1e-6
    with pytest.raises(SettingsError, match="width 32"):
        list(ortho.find(Job(problem, _draws(D), settings, tiny, base=base)))


def test_a_family_does_what_its_base_does_and_random_vectors_do_not(tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    found = _found(ortho.find(Job(problem, _draws(4), ortho.Settings(30, 4, norm_penalty=0.0), tiny, base=base)))
    base_effect = BaseEffectLoss(problem, base, "tokens")
    random = unit(_draws(4, 5)) * found.vectors.norm(dim=-1, keepdim=True)
    chance = base_effect.matched(base_effect.losses(random))
    assert found.objective.min() > chance.max() + 0.1
    assert found.objective.mean() > 0.3
    torch.testing.assert_close(found.objective, base_effect.matched(base_effect.losses(found.vectors)))


@pytest.mark.parametrize("method", ["melbo", "ortho"])
def test_the_steps_add_up_to_what_was_told_beforehand(method: str, tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    settings = {"melbo": melbo.Settings(6, 2), "ortho": ortho.Settings(6, 2, least_match=-1e9, least_norm=0.0)}[method]
    steps = [e for e in METHODS[method].load().find(Job(problem, _draws(4), settings, tiny, 5.0, base)) if isinstance(e, Step)]
    assert sum(len(step.objective) for step in steps) == 4 * settings.step_count


def test_lbfgs_gets_further_than_adam_in_as_many_steps(tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    reached = [
        _found(ortho.find(Job(problem, _draws(4), ortho.Settings(30, 4, optimizer, 0.03), tiny, base=base))).objective.mean()
        for optimizer in ("lbfgs", "adam")
    ]
    assert reached[0] > reached[1]


def test_a_step_that_led_up_is_tried_again_half_as_far_as_it_went() -> None:
    slope, here = unit(_draws(2)), _draws(2, 1)
    memory = LBFGS(here, 1.0)
    for step in range(6):  # down a straight slope, a little at a time: no reason to dare more
        here = here - 0.1 * slope
        memory.step(here, here.new_full((2,), 10.0 - step), slope)
    for length in (0.2, 0.1):
        wrong = memory.step(here - length * slope, here.new_tensor([torch.inf, 1e6]), slope)
        torch.testing.assert_close((wrong - here).norm(dim=-1), here.new_full((2,), length / 2), rtol=1e-4, atol=0)


def test_where_one_optimizer_of_a_penalised_family_ends_the_other_stays(tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    ended = _found(ortho.find(Job(problem, _draws(1), ortho.Settings(60, 1, norm_penalty=0.2), tiny, base=base))).vectors
    adam = ortho.Settings(200, 1, "adam", 0.002, norm_penalty=0.2, start_norm=None)
    stayed = _found(ortho.find(Job(problem, ended, adam, tiny, base=base))).vectors
    penalised = BaseEffectLoss(problem, base, "tokens").look(torch.cat([ended, stayed]), 0.2).penalised
    torch.testing.assert_close(penalised[1], penalised[0], rtol=0.05, atol=0)
    torch.testing.assert_close(stayed.norm(), ended.norm(), rtol=0.05, atol=0)


def test_a_family_ends_and_says_why(tiny: LanguageModel, problem: Problem) -> None:
    events = list(ortho.find(Job(problem, _draws(20), ortho.Settings(3, 4, least_match=0.999), tiny, base=_draws(1)[0])))
    assert isinstance(events[-1], Ended)
    assert "of what the base does" in events[-1].reason
    assert sum(len(e.vectors) for e in events if isinstance(e, Found)) in (4, 5)


def test_a_vector_whose_norm_fell_to_zero_came_to_nothing(tiny: LanguageModel, problem: Problem) -> None:
    job = Job(problem, _draws(12), ortho.Settings(8, 4, norm_penalty=1e6), tiny, base=3 * _draws(1)[0])
    events = list(ortho.find(job))
    found = [event for event in events if isinstance(event, Found)]
    assert all("fell to zero" in event.cause(row) for event in found for row in range(len(event.vectors)))
    assert job.earlier.shape == (job.done, D)
    assert isinstance(events[-1], Ended)
    assert "the norms have fallen" in events[-1].reason


def test_a_fixed_norm_is_held_and_a_penalty_makes_them_shorter(tiny: LanguageModel, problem: Problem) -> None:
    base = 3.0 * unit(_draws(1, 9))[0]
    held = _found(ortho.find(Job(problem, _draws(4), ortho.Settings(8, 4, norm=2.0), tiny, base=base)))
    torch.testing.assert_close(held.vectors.norm(dim=-1), torch.full((4,), 2.0))
    norms = [
        _found(ortho.find(Job(problem, _draws(4), ortho.Settings(24, 4, norm_penalty=p), tiny, base=base))).vectors.norm()
        for p in (0.0, 3.0)
    ]
    assert norms[1] < norms[0]


def test_power_steering_finds_the_jacobian_s_singular_vectors(tiny: LanguageModel, problem: Problem) -> None:
    jacobian = torch.autograd.functional.jacobian(
        lambda theta: problem.segments[0].change(theta[None])[0, -6:].flatten(), torch.zeros(D)
    )
    _, values, rows = torch.linalg.svd(jacobian)
    found = _found(power_steering.find(Job(problem, _draws(4), PowerSteering(20), tiny, 2.0)))
    torch.testing.assert_close(found.objective, values[:4], rtol=2e-3, atol=0)
    assert (unit(found.vectors) @ rows[:4].T).abs().diagonal().min() > 0.99
    torch.testing.assert_close(found.vectors.norm(dim=-1), torch.full((4,), 2.0))


def test_dct_factors_have_more_effect_than_random_ones_and_are_ranked(tiny: LanguageModel, problem: Problem) -> None:
    found = _found(dct.find(Job(problem, _draws(12), dct.Settings(8, 5), tiny, 2.0)))
    alpha = found.facts["alpha"].abs()
    assert (alpha.diff() <= 0).all()
    assert _cosines(found.vectors).max() < 1e-5
    random = problem.changes(2.0 * unit(_draws(12, 3)))[0].mean(dim=1).norm(dim=-1)
    assert found.objective.mean() > random.mean()


def test_effects_can_be_kept_orthogonal_instead_of_vectors(tiny: LanguageModel, problem: Problem) -> None:
    def effects(**settings: Any) -> float:
        chosen = melbo.Settings(30, 3, **settings)
        found = _found(melbo.find(Job(problem, _draws(6), chosen, tiny, 2.0)))
        return float(_cosines(problem.changes(found.vectors)[0].flatten(1)).mean())

    assert effects(orthogonal_effects=True) < 0.6 * effects()


def test_a_contrast_is_the_difference_of_means_and_the_selection_names_its_place(tiny: LanguageModel, problem: Problem) -> None:
    sets = {"positive": ["aaaa", "abab", "aaba", "bbba"], "negative": ["zzzz", "zyzy", "yzzz", "zzzy"]}
    plain = _found(contrast.find(Job(problem, _draws(1), contrast.Settings(**sets, source=2, position=1), tiny)))
    means = [
        torch.stack([_residual(tiny, tiny.encode_chat([{"role": "user", "content": t}]), 2) for t in texts]).mean(dim=0)
        for texts in sets.values()
    ]
    torch.testing.assert_close(plain.vectors[0], means[0] - means[1], rtol=1e-4, atol=1e-5)
    events = list(contrast.find(Job(problem, _draws(1), contrast.Settings(**sets, select=True, positions=2), tiny, 5.0)))
    chosen = _found(events)
    assert any(isinstance(e, Step) for e in events)
    assert 0 <= int(chosen.facts["block"]) < 5
    assert int(chosen.facts["position"]) in (1, 2)
    assert float(chosen.vectors.norm()) == pytest.approx(5.0, rel=1e-4)
    with pytest.raises(SettingsError, match="positive and negative"):
        contrast.Settings(("a",), ())


def _residual(model: LanguageModel, ids: list[int], block: int) -> torch.Tensor:
    # Not by output_hidden_states: transformers leaves hooks of its own behind, and the model is every test's.
    with recorded(model.blocks[block]) as seen, torch.no_grad():
        model.model(input_ids=torch.tensor([ids]))
    return seen[0][0, -1]


def test_out_of_memory_halves_what_runs_at_once_and_changes_nothing(tiny: LanguageModel, problem: Problem) -> None:
    settings = melbo.Settings(4, 8)
    expected = _found(melbo.find(Job(problem, _draws(8), settings, tiny, 3.0))).vectors
    segment, told = problem.segments[0], []

    class Small(Segment):
        def change(self, thetas: torch.Tensor) -> torch.Tensor:
            if len(thetas) > 3:
                raise torch.OutOfMemoryError("out of memory")
            return super().change(thetas)

    segment.__class__ = Small
    shrinking = Problem([segment], Objective(tokens=6), 8, told.append)
    found = _found(melbo.find(Job(shrinking, _draws(8), settings, tiny, 3.0)))
    assert told == [4, 2]
    torch.testing.assert_close(found.vectors, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("optimizer", ["power", "adamw"])
def test_a_loss_that_is_no_number_ends_its_vector_only(tiny: LanguageModel, problem: Problem, optimizer: str) -> None:
    draws = _draws(4)
    draws[2] = torch.nan
    found = _found(melbo.find(Job(problem, draws, melbo.Settings(4, 4, optimizer), tiny, 3.0)))
    assert "no finite number at step 1" in found.cause(2)
    assert not any(found.cause(row) for row in (0, 1, 3))


def test_a_family_starts_each_vector_as_far_out_as_the_last_one_ended(tiny: LanguageModel, problem: Problem) -> None:
    ended, started = list[float](), dict[int, float]()
    for event in ortho.find(Job(problem, _draws(6), ortho.Settings(6, 2, least_match=-1e9), tiny, base=_draws(1, 9)[0])):
        if isinstance(event, Found):
            ended += [float(vector.norm()) for vector in event.vectors]
        elif isinstance(event, Step) and event.steps_of_rows[-1] == 0:
            started[event.first + len(event.norm) - 1] = float(event.norm[-1])
    assert started == pytest.approx({0: 1.0, 1: 1.0} | {i: ended[i - 2] for i in range(2, 6)}, rel=1e-5)
    assert ended[0] > 1.5, "or it would prove nothing"
