from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from core.engine.evaluation_requests import Evaluate
from core.engine.session import Session
from core.errors import SettingsError
from core.evaluation.condition import Answer, Case
from core.evaluation.context import Context
from core.evaluation.judging import judge
from core.model.language_model import LanguageModel
from core.steering.terms import SteerTerm
from tests.core.measuring import PROMPTS, found_vector, report_of, rows_called
from vectors.completion import END, LENGTH, OVERFLOW, Completion
from vectors.store.reports import Report

Measured = Callable[[Case], dict[str, Any]]


def _scripted(monkeypatch: pytest.MonkeyPatch, measured: Measured) -> list[float]:
    """Lets a case's completion be what `measured(case)` says; gives the coefficients that are tried of the first prompt."""
    tried: list[float] = []

    def generate(context: Context, cases: list[Case], answers: dict[int, Answer], referenced: bool = True) -> Iterator[int]:
        for place, case in enumerate(cases):
            completion = Completion(**{"text": "text", "mean_kl": 0.0, "perplexity": 1.0, "stop": END, **measured(case)})
            answers[place] = Answer(case, completion, judge(completion))
            if case.prompt == 0 and not case.condition.random:
                tried.append(case.coefficient)
        yield context.tokens * len(cases)

    monkeypatch.setattr(Context, "generate", generate)
    return tried


def _limits(report: Report) -> dict[str, float]:
    return {row["sign"]: row["coef"] for row in rows_called(report.tables[0], "found")}


def test_the_largest_coefficient_below_a_limit_of_kl_in_both_signs(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(case: Case) -> dict[str, Any]:
        steep = 0.5 if case.coefficient > 0 else 0.125
        return {"mean_kl": steep * abs(case.coefficient) * (2 if case.prompt == 1 else 1)}  # the second prompt limits it

    tried = _scripted(monkeypatch, measured)
    report = report_of(session, "dose", SteerTerm(found_vector(session.model)), settings={"most_kl": 1.7})
    found = _limits(report)
    assert 1.7 * (1 - 1 / 30) <= found["+"] <= 1.7
    assert 6.8 * (1 - 1 / 30) <= -found["-"] <= 6.8
    assert tried[:4] == [0.25, -0.25, 0.5, -0.5]
    assert max(tried) == 2
    assert min(tried) == -8
    row = rows_called(report.tables[0], "found")[0]
    assert row["KL"] == pytest.approx(row["coef"])
    assert row["norm"] == pytest.approx(row["coef"] * found_vector(session.model).norm)
    assert row["stopped by"].startswith("KL 1.7")
    assert report.findings[0].startswith("found: below the limit from -6.")
    assert len(rows_called(report.tables[0], "random 1")) == 2, "controls are held to the same limits"


def test_without_a_limit_text_must_not_be_broken_and_what_lies_beyond_is_not_tried(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(case: Case) -> dict[str, Any]:
        return {"perplexity": 1e9 if 0.9 < case.coefficient < 3 else 2.0}  # text that is whole again at 3

    tried = _scripted(monkeypatch, measured)
    report = report_of(session, "dose", SteerTerm(found_vector(session.model)), settings={"most_coefficient": 8.0})
    found = _limits(report)
    assert 0.87 <= found["+"] <= 0.9
    assert found["-"] == -8
    assert max(tried) == 1
    stopped = {row["sign"]: row["stopped by"] for row in rows_called(report.tables[0], "found")}
    assert stopped["+"].startswith("damage ")
    assert stopped["-"] == "nothing up to 8"


def test_an_overflow_and_a_limit_at_once_end_at_nothing(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = _scripted(monkeypatch, lambda case: {"mean_kl": None, "perplexity": None, "stop": OVERFLOW})
    report = report_of(session, "dose", SteerTerm(found_vector(session.model)), settings={"most_damage": 0.5})
    assert set(_limits(report).values()) == {0.0}
    assert len(tried) < 20


@pytest.mark.parametrize("limit", [{"most_damage": 0.5}, {"most_kl": 1.0}, {}])
def test_a_thought_that_comes_to_no_answer_is_beyond_every_limit(
    session: Session, monkeypatch: pytest.MonkeyPatch, limit: dict[str, float]
) -> None:
    lost = {"text": "", "thought": "Hm.", "thought_tokens": 1, "mean_kl": None, "perplexity": None, "stop": LENGTH}
    _scripted(monkeypatch, lambda case: lost if abs(case.coefficient) > 1.5 or case.coefficient < 0 else {})
    report = report_of(session, "dose", SteerTerm(found_vector(session.model)), settings=limit)
    found = _limits(report)
    assert 1.45 <= found["+"] <= 1.5
    assert str(found["-"]) == "0.0", "no minus before nothing"
    stopped = [row["stopped by"] for row in rows_called(report.tables[0], "found")]
    assert stopped[0].startswith("no answer at 1.5")
    assert stopped[1].startswith("no answer at -0.0")
    assert report.findings[0].startswith("found: below the limit from 0 to 1.")


def test_on_a_model_the_limit_holds(session: Session) -> None:
    term, how = SteerTerm(found_vector(session.model)), {"prompts": PROMPTS[:1], "tokens": 6, "controls": 0}
    found = _limits(report_of(session, "dose", term, settings={"most_kl": 0.05}, **how))
    tried = ",".join(str(share * one) for one in found.values() for share in (1.0, 1.5))
    rows = rows_called(report_of(session, "sweep", term, settings={"coefficients": tried}, **how).tables[0], "found")
    kl = {row["coef"]: row["KL"] for row in rows}
    assert all(0 < kl[one] <= 0.05 < kl[1.5 * one] for one in found.values())


@pytest.mark.parametrize("wrong", [{"most_kl": 0.0}, {"most_damage": -1.0}, {"most_coefficient": 1e10}])
def test_limits_that_are_none(tiny: LanguageModel, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Evaluate("dose", ((SteerTerm(found_vector(tiny)),),), PROMPTS, settings=wrong)
