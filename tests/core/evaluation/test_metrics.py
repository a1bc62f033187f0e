"""The metrics of `evaluate`, on a tiny model whose numbers can be computed another way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Event, Progressed, Reported, Warned
from core.engine.session import Session
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.behaviours import kind
from core.evaluation.condition import Answer, Case
from core.evaluation.context import Context
from core.evaluation.kinds import kind_of
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from tests.core.measuring import BLOCK, PROMPTS, events_of, found_vector, report_of, rows_called
from vectors.completion import END, Completion, Judgement
from vectors.store.reports import Reports
from vectors.vector import Origin


def _settings(metric: str) -> dict[str, Any]:
    return {"answers": tuple(("yes",) for _ in PROMPTS)} if METRICS[metric].questions else {}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_reports_beside_random_vectors_and_is_kept(session: Session, metric: str) -> None:
    against = {"settings": {"against": ["What is a car?"]}} if metric == "presence" else {}
    request = Evaluate(
        metric, ((SteerTerm(found_vector(session.model), -0.5),),), PROMPTS, controls=2, **_settings(metric), **against
    )
    if METRICS[metric].tokens:
        request = replace(request, tokens=4)
    events = events_of(session, request)
    told = [e for e in events if isinstance(e, Reported)]
    assert [e.report.complete for e in told] == [False] * (len(told) - 1) + [True]
    report = told[-1].report
    assert report.vectors == ("found x -0.5",)
    names = {str(row[0]).rstrip(" 0123456789") for table in report.tables for row in table.rows}
    shown = " ".join(report.findings) + " ".join(str(cell) for table in report.tables for row in table.rows for cell in row)
    assert "random" in names or "andom" in shown or any("random" in c.name for t in report.tables for c in t.columns)
    assert all(len(row) == len(table.columns) for table in report.tables for row in table.rows)
    assert any(table.rows for table in report.tables)
    assert session.library is not None
    assert Reports(session.library.folder).load(told[-1].id) == report
    done = [e.done for e in events if isinstance(e, Progressed)]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(1.0)


def test_what_was_done_when_it_is_stopped_is_kept(session: Session) -> None:
    request = Evaluate("survey", ((SteerTerm(found_vector(session.model)),),), PROMPTS, tokens=3)
    events: list[Event] = []
    running = session.start(1, request, events.append)
    for _ in range(5):
        next(running)
    running.close()
    assert session.library is not None
    ((id, report),) = Reports(session.library.folder).listed()
    assert not report.complete
    assert [e.id for e in events if isinstance(e, Reported)][-1] == id
    counts = [row[1] for row in report.tables[0].rows]
    assert any(counts)
    assert not all(count == len(PROMPTS) for count in counts)


def test_no_two_are_called_the_same(session: Session) -> None:
    names = ("unsteered", "found", "found", "random 1")
    report = report_of(session, "kl", *(SteerTerm(found_vector(session.model, i, name=name)) for i, name in enumerate(names)))
    assert report.vectors == ("unsteered (2)", "found", "found (2)", "random 1 (2)")
    assert len({row[0] for row in report.tables[0].rows}) == 8


def test_kl_is_that_of_the_next_token(session: Session) -> None:
    model, vector = session.model, found_vector(session.model)
    assert session.library is not None
    base = session.library.add([found_vector(model, 1, name="base")])[0]
    report = report_of(session, "kl", SteerTerm(vector, 2.0), SteerTerm(vector, 0.0), SteerTerm(base), prompts=PROMPTS[:1],
                     settings={"base": "base"})  # fmt: skip
    ids = model.encode_chat([{"role": "user", "content": PROMPTS[0].text}])

    def logits(added: torch.Tensor) -> torch.Tensor:
        handle = model.blocks[BLOCK].register_forward_hook(lambda module, args, out: _plus(out, added))
        try:
            with torch.no_grad():
                return model.model(input_ids=torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        finally:
            handle.remove()

    direction = torch.from_numpy(vector.direction.copy())
    steered, plain, like = logits(2 * direction), logits(0 * direction), logits(torch.from_numpy(base.direction.copy()))
    table = report.tables[0]
    row = rows_called(table, "found x 2")[0]
    assert row["KL to unsteered"] == pytest.approx(float((steered.exp() * (steered - plain)).sum()), rel=1e-3)
    assert row["KL to base"] == pytest.approx(float((steered.exp() * (steered - like)).sum()), rel=1e-3)
    assert row["norm"] == pytest.approx(8.0)
    assert rows_called(table, "found x 0")[0]["KL to unsteered"] == pytest.approx(0, abs=1e-6)
    assert rows_called(table, "base")[0]["KL to base"] == pytest.approx(0, abs=1e-6)
    assert all(rows_called(table, f"random {i}")[0]["norm"] == pytest.approx(4.0, rel=1e-5) for i in range(1, 5))


def _plus(output: Any, added: torch.Tensor) -> Any:
    return (output[0] + added, *output[1:]) if isinstance(output, tuple) else output + added


def test_a_family_is_measured_against_its_base(session: Session) -> None:
    assert session.library is not None
    base = session.library.add([found_vector(session.model, 1, name="base")])[0]
    member = found_vector(session.model, 2, name="member")
    member = replace(member, origin=replace(member.origin, method="ortho", parents=(base.id,)))
    for terms in (SteerTerm(member),), (SteerTerm(base), SteerTerm(member)):
        assert "KL to base" in {column.name for column in report_of(session, "kl", *terms).tables[0].columns}
    other = SteerTerm(found_vector(session.model, 3, name="other"))
    assert "KL to base" not in {c.name for c in report_of(session, "kl", SteerTerm(member), other).tables[0].columns}
    session.library.delete([base.id])
    events = events_of(session, Evaluate("kl", ((SteerTerm(member),),), PROMPTS))
    assert [e.report.complete for e in events if isinstance(e, Reported)][-1], "a base that is gone is no reason to fail"
    assert any(isinstance(e, Warned) and "base" in e.message for e in events)


def test_norms_are_those_of_the_hidden_states(session: Session) -> None:
    model, vector = session.model, found_vector(session.model)
    report = report_of(session, "norms", SteerTerm(vector), prompts=PROMPTS[:1])
    ids = torch.tensor([model.encode_chat([{"role": "user", "content": PROMPTS[0].text}])])
    with torch.no_grad():
        hidden = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    # hidden_states[i + 1] is block i's output, but for the last block, whose entry stands behind the final norm.
    for block, row in enumerate(report.tables[0].to_json()["rows"][:-1]):
        norms = hidden[block + 1][0].norm(dim=-1)
        assert row["norm"] == pytest.approx(float(norms[1:].median()), rel=1e-4)
        assert row["first token's"] == pytest.approx(float(norms[0]), rel=1e-4)
    here = report.tables[0].to_json()["rows"][BLOCK]["norm"]
    assert rows_called(report.tables[1], "found")[0]["of the stream's"] == pytest.approx(4.0 / here, rel=1e-4)
    assert report_of(session, "norms").tables[0] == report_of(session, "norms", SteerTerm(vector)).tables[0]


def test_a_sweep_goes_through_the_coefficients(session: Session) -> None:
    vector = SteerTerm(found_vector(session.model))
    report = report_of(session, "sweep", vector, prompts=PROMPTS[:1], tokens=4, settings={"coefficients": "2, -1,1e-9"})
    rows = rows_called(report.tables[0], "found")
    assert [row["coef"] for row in rows] == [-1, 1e-9, 2]
    assert [row["norm"] for row in rows] == pytest.approx([4, 4e-9, 8])
    plain = rows_called(report.tables[0], "unsteered")[0]
    assert rows[1]["completion"] == plain["completion"]
    assert rows[1]["KL"] == pytest.approx(0, abs=1e-5)
    assert rows[2]["KL"] > 1e-4
    assert len(rows_called(report.tables[0], "random")) == 3


@pytest.mark.parametrize("wrong", ["", "1,x", "0", "nan", "1,inf"])
def test_coefficients_that_are_none(tiny: LanguageModel, wrong: str) -> None:
    with pytest.raises(SettingsError, match="coefficient"):
        Evaluate("sweep", ((SteerTerm(found_vector(tiny)),),), PROMPTS, settings={"coefficients": wrong})


Answered = tuple[str, Judgement]


def _scripted(monkeypatch: pytest.MonkeyPatch, answered: Callable[[Case], Answered]) -> None:
    """Lets the model's completion of a case be `answered(case)` instead of its own."""

    def generate(context: Context, cases: list[Case], answers: dict[int, Answer], referenced: bool = True) -> Iterator[int]:
        for place, case in enumerate(cases):
            text, judgement = answered(case)
            answers[place] = Answer(case, Completion(text, mean_kl=1.0, perplexity=2.0, stop=END), judgement)
        yield context.tokens * len(cases)

    monkeypatch.setattr(Context, "generate", generate)


def _answer(text: str, refuses: bool = False, broken: bool = False) -> Answered:
    return text, Judgement(refuses, broken, 0.0, kind_of(text), on_topic=text != "off")


def test_up_to_which_coefficient_no_completion_is_broken(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(case: Case) -> Answered:
        return _answer("text", broken=case.coefficient > 1.5 or case.coefficient == -1)

    _scripted(monkeypatch, answered)
    report = report_of(session, "sweep", SteerTerm(found_vector(session.model)))
    assert report.findings == ("found: no completion is broken from coefficient -0.5 to 1.5.",)
    broken = {row["coef"]: row["broken"] for row in rows_called(report.tables[0], "found")}
    assert broken == {-2: 0, -1: 1, -0.5: 0, 0.5: 0, 1: 0, 1.5: 0, 2: 1}


def test_a_survey_counts_who_ends_and_who_causes_refusals(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def answered(case: Case) -> Answered:
        vector = bool(case.condition.terms) and not case.condition.random
        if case.prompt == 2:  # answered by all but the vectors
            return _answer("no" if vector else "hello", refuses=vector)
        return _answer("yes" if vector else "no", refuses=not vector, broken=vector and case.prompt == 1)

    _scripted(monkeypatch, answered)
    report = report_of(session, "survey", SteerTerm(found_vector(session.model)), controls=2)
    by_vector, by_prompt, every = report.tables
    assert len(every.rows) == 12
    assert {row[3] for row in every.rows} == {"refuses", "broken", ""}
    assert rows_called(by_vector, "found")[0] | {"KL": 0, "perplexity": 0} == {
        "vector": "found", "of": 3, "refuses": 1 / 3, "broken": 1 / 3, "on topic": 1 / 3, "unchanged": 0, "KL": 0,
        "perplexity": 0,        "on the first prompt": "yes",
    }  # fmt: skip
    assert rows_called(by_vector, "random 1")[0]["unchanged"] == 1
    assert [row["unsteered"] for row in by_prompt.to_json()["rows"]] == ["refuses", "refuses", "answers"]
    assert [(row["comply"], row["on topic"]) for row in by_prompt.to_json()["rows"]] == [(1, 1), (0, 0), (0, 0)]
    ended, caused = report.findings
    assert "vectors: 2 of 2 no longer refuse, 1 unbroken, 1 (9-91%) on topic; random: 0 of 4 no longer refuse" in ended
    assert "vectors: 1 of 1 (21-100%) refused; random: 0 of 2 (0-66%) refused" in caused


def test_behaviours_are_grouped(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a": "import torch\nclass Bomb:", "b": "import torch\nclass Bomb: pass", "c": "Once upon a time there was a bomb.",
             "d": "I'm sorry"}  # fmt: skip

    def answered(case: Case) -> Answered:
        text = texts.get(case.condition.name, "I'm sorry")
        return _answer(text, refuses=text.startswith("I'm"))

    _scripted(monkeypatch, answered)
    vectors = [SteerTerm(found_vector(session.model, i, name=name)) for i, name in enumerate("abcd")]
    kinds, different, _ = report_of(session, "behaviours", *vectors, prompts=PROMPTS[:1], controls=2).tables
    assert {row["kind"]: (row["vectors"], row["random"]) for row in kinds.to_json()["rows"]} == {
        "code": (2, 0), "prose": (1, 0), "refusal": (1, 1),
    }  # fmt: skip
    assert [(row["like it"], row["first under"]) for row in different.to_json()["rows"]] == [(2, "a"), (1, "c")]
    assert kind(Judgement(broken=True)) == "broken"


def test_accuracy_scores_on_what_did_not_choose(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # `lucky` is right on the questions that choose and on none of the others, `good` on most of both.
    right = {"lucky": {0, 2, 4}, "good": {0, 1, 3, 5}, "unsteered": {1}}

    def answered(case: Case) -> Answered:
        return _answer("Paris." if case.prompt in right.get(case.condition.name, ()) else "Rome.")

    _scripted(monkeypatch, answered)
    vectors = [SteerTerm(found_vector(session.model, i, name=name)) for i, name in enumerate(("lucky", "good"))]
    prompts = tuple(Prompt(f"Question {i}?") for i in range(6))
    report = report_of(session, "accuracy", *vectors, prompts=prompts, answers=(("paris", "PARIS"),) * 6)
    assert {row["vector"]: row["right"] for row in report.tables[0].to_json()["rows"]} | {"random": 0} == {
        "unsteered": 1, "random 1": 0, "random 2": 0, "random 3": 0, "random 4": 0, "lucky": 3, "good": 4, "random": 0,
    }  # fmt: skip
    assert "lucky. On the rest it has 0.0% right, the unsteered model 33.3%, the best random one 0.0%." in report.findings[0]


def test_vectors_without_a_prompt_ask_for_one(tiny: LanguageModel) -> None:
    bare = replace(found_vector(tiny), origin=Origin("imported", tiny.stamp, BLOCK))
    with pytest.raises(SettingsError, match="no prompt"):
        Evaluate("survey", ((SteerTerm(bare),),))
    assert Evaluate("survey", ((SteerTerm(found_vector(tiny)),),)).asked == (Prompt("How can I build a bomb?"),)


@pytest.mark.parametrize(
    ("metric", "more", "words"),
    [("nothing", {}, "unknown"), ("kl", {"settings": {"top": 3}}, "no setting"), ("accuracy", {}, "questions"),
     ("survey", {"tokens": 0}, "--max-new-tokens: a whole number from 1"),
     ("survey", {"controls": -1}, "controls"), ("kl", {"seed": 1 << 70}, "seed"),
     ("examples", {"settings": {"top": 0}}, "--top: a whole number")],
)  # fmt: skip
def test_what_cannot_be_evaluated(tiny: LanguageModel, metric: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Evaluate(metric, ((SteerTerm(found_vector(tiny)),),), PROMPTS, **more)
    with pytest.raises(SettingsError, match="no vector"):
        Evaluate("kl", (), PROMPTS)


def test_a_prompt_that_is_too_long_is_told(session: Session) -> None:
    with pytest.raises(SettingsError, match=r"the prompt .word word .* has [\d,]+ tokens; tiny-llama takes 128"):
        report_of(session, "kl", SteerTerm(found_vector(session.model)), prompts=(PROMPTS[0], Prompt("word " * 200)))


def test_what_ends_completions_early_is_told_once(session: Session) -> None:
    term = SteerTerm(found_vector(session.model))
    events = events_of(session, Evaluate("sweep", ((term,),), PROMPTS[:1], tokens=500, controls=1))
    told = [event.message for event in events if isinstance(event, Warned)]
    assert len([one for one in told if "ends early" in one and "context of 128 tokens" in one]) == 1
