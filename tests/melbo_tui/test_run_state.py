from __future__ import annotations

import pytest

from core.engine.events import Generated, RadiusChosen, RunStarted, Stepped, StepPoint, VectorFound
from melbo_tui.panes.train.plots import PLOTS
from melbo_tui.run_state import RunState
from tests.completions import generated

_REFUSAL = "I'm sorry, I cannot."


def _completion(key: str, text: str = "words", perplexity: float = 3.0) -> Generated:
    return generated(1, key, text, 3, True, (0.1,), perplexity, prompt="Say some words")


def test_curves_gather_by_vector_and_mean_by_step() -> None:
    run = RunState()
    run.take(Stepped(1, (StepPoint(0, 0, (1.0, 3.0), (0.1, 0.3)), StepPoint(0, 1, (2.0, 4.0), (0.1, 0.1)))))
    run.take(Stepped(1, (StepPoint(2, 0, (5.0,), (0.2,)),)))
    assert run.objective == {0: [(0, 1.0), (1, 2.0)], 1: [(0, 3.0), (1, 4.0)], 2: [(0, 5.0)]}
    assert run.mean_objective() == [(0, 3.0), (1, 3.0)]


def test_the_summary_stands_beside_the_controls() -> None:
    run = RunState()
    for i, (text, perplexity) in enumerate((("words", 1e9), ("words", 3.0), (_REFUSAL, 3.0))):
        run.take(VectorFound(1, i, f"r/{i}", f"v{i}", 1.0, 1.0))
        run.take(_completion(str(i), text, perplexity))
    assert run.summary() == ""
    run.take(_completion("unsteered", _REFUSAL))
    run.take(_completion("control:0", _REFUSAL))
    assert run.summary() == "2 of 3 no longer refuse, 1 unbroken, 1 (6-79%) on topic; random: 0, 0, 0 of 1"
    run.take(_completion("unsteered"))
    assert run.summary().startswith("1 of 3 begin differently")


def test_a_family_s_kl_is_to_its_base() -> None:
    colors = dict.fromkeys(("main", "other", "faint", "axis"), (1, 2, 3))
    run = RunState()
    run.take(RunStarted(1, "r", 3, 32, ("p",), True, method="ortho", unsteered_kl=8.0))
    for i, kl in enumerate((0.01, 0.5)):
        run.take(VectorFound(1, i, f"r/{i}", f"v{i}", 1.0, 9.0, (("kl_to_base", kl),)))
    run.take(VectorFound(1, 2, "r/2", "v2", 1.0, 9.0))
    run.take(_completion("unsteered"))
    plot = next(plot for plot in PLOTS if plot.title(run).startswith("KL to the base"))
    line, dots = plot.series(run, colors)
    assert (dots.xs, dots.ys) == ([1, 2], [0.01, 0.5])
    assert line.ys == [8.0, 8.0]
    assert run.kl_to_base("unsteered") == 8.0
    assert run.kl_to_base("control:0") is None


def test_every_plot_draws_a_run_and_nothing_for_an_empty_one() -> None:
    colors = dict.fromkeys(("main", "other", "faint", "axis"), (1, 2, 3))
    run = RunState()
    assert not any(series.xs for plot in PLOTS for series in plot.series(run, colors))
    run.take(RadiusChosen(1, 3.0, True, 0.5, ((1.0, 0.1), (4.0, 0.5), (400.0, 20.0))))
    run.take(Stepped(1, (StepPoint(0, 0, (1.0, 3.0), (0.1, 0.3), (2.0, 2.0)),)))
    run.take(VectorFound(1, 0, "a/0", "a", 3.0, 9.0))
    run.take(generated(1, "0", "text", 1, True, (0.5,)))
    assert all(plot.title(run) for plot in PLOTS)
    drawn = [plot.series(run, colors) for plot in PLOTS]
    assert all(any(series.xs for series in one) for one in drawn)
    curve, chosen = drawn[-1]
    assert max(curve.xs) == 4.0, "what lies far beyond would flatten the rest"
    assert (chosen.xs, chosen.ys) == ([3.0], [pytest.approx(0.1 + 0.4 * 2 / 3)])
