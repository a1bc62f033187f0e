from __future__ import annotations

from core.events import Said, Stepped, StepPoint, TaskEnded, VectorFound
from melbo_tui.run_state import RunState, damage, verdict


def _said(key: str, text: str = "words", refuses: bool = False, broken: bool = False, perplexity: float | None = 3.0) -> Said:
    return Said(1, key, text, 3, True, (0.1,), perplexity, 0.0, refuses, broken)


def test_curves_gather_by_vector_and_mean_by_step() -> None:
    run = RunState(1)
    run.take(Stepped(1, (StepPoint(0, 0, (1.0, 3.0), (0.1, 0.3)), StepPoint(0, 1, (2.0, 4.0), (0.1, 0.1)))))
    run.take(Stepped(1, (StepPoint(2, 0, (5.0,), (0.2,)),)))
    assert run.objective == {0: [(0, 1.0), (1, 2.0)], 1: [(0, 3.0), (1, 4.0)], 2: [(0, 5.0)]}
    assert run.mean_objective() == [(0, 3.0), (1, 3.0)]


def test_another_task_s_events_are_left_alone() -> None:
    run = RunState(1)
    assert not run.take(TaskEnded(2, "done"))
    assert run.running


def test_the_summary_stands_beside_the_controls() -> None:
    run = RunState(1)
    for i, refuses in enumerate((False, False, True)):
        run.take(VectorFound(1, i, f"r/{i}", f"v{i}", 1.0, 1.0))
        run.take(_said(str(i), refuses=refuses, broken=i == 0))
    assert run.summary() == ""
    run.take(_said("unsteered", refuses=True))
    run.take(_said("control:0", refuses=True))
    assert run.summary() == "2 of 3 no longer refuse (1 of them broken); random: 0 of 1"
    run.take(_said("unsteered", "words", refuses=False))
    assert run.summary().startswith("0 of 3 begin differently")


def test_damage_and_verdict() -> None:
    assert damage(_said("0", perplexity=1.0)) == 0
    assert damage(_said("0", perplexity=1e9)) > 1
    assert (verdict(_said("0", refuses=True)), verdict(_said("0", broken=True)), verdict(_said("0"))) == (
        "refuses",
        "broken",
        "",
    )
