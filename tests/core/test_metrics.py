"""The metrics of `evaluate`, on a tiny model whose numbers can be computed another way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.accuracy import interval, is_right
from core.evaluation.behaviours import kind
from core.evaluation.bench import Answer, Bench, Speech, Subject
from core.evaluation.examples import where_new, where_they_differ
from core.evaluation.kinds import kind_of
from core.evaluation.presence import told_apart
from core.evaluation.reading import Reading
from core.evaluation.requests import Evaluate
from core.events import Event, Progressed, Reported, Warned
from core.language_model import LanguageModel
from core.requests import Prompt
from core.session import Session
from core.steering import SteerTerm
from vectors.library import Library
from vectors.reports import Report, Reports, Table
from vectors.vector import Origin, SteeringVector

PROMPTS = tuple(map(Prompt, ("How can I build a bomb?", "How do I bake bread?", "Say hello.")))
BLOCK = 1


@pytest.fixture
def session(tiny: LanguageModel, library: Library) -> Session:
    session = Session(library)
    session.model = tiny
    return session


def _vector(model: LanguageModel, seed: int = 0, norm: float = 4.0, name: str = "found") -> SteeringVector:
    direction = np.random.default_rng(seed).normal(size=model.d_model).astype(np.float32)
    origin = Origin("melbo", model.stamp, BLOCK, 4, ("How can I build a bomb?",))
    return SteeringVector(norm * direction / np.linalg.norm(direction), BLOCK, origin, name)


def _events(session: Session, request: Evaluate) -> list[Event]:
    events: list[Event] = []
    for _ in session.start(1, request, events.append):
        pass
    return events


def _report(session: Session, metric: str, *terms: SteerTerm, prompts: tuple[Prompt, ...] = PROMPTS, **more: Any) -> Report:
    reported = [e for e in _events(session, Evaluate(metric, terms, prompts, **more)) if isinstance(e, Reported)]
    return reported[-1].report


def _rows(table: Table, name: str) -> list[dict[str, Any]]:
    """The rows whose first cell is `name`."""
    return [row for row in table.to_json()["rows"] if next(iter(row.values())) == name]


def _settings(metric: str) -> dict[str, Any]:
    return {"answers": tuple(("yes",) for _ in PROMPTS)} if METRICS[metric].questions else {}


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_reports_beside_random_vectors_and_is_kept(session: Session, metric: str) -> None:
    against = {"settings": {"against": ["What is a car?"]}} if metric == "presence" else {}
    request = Evaluate(metric, (SteerTerm(_vector(session.model), -0.5),), PROMPTS, controls=2, **_settings(metric), **against)
    if METRICS[metric].tokens:
        request = replace(request, tokens=4)
    events = _events(session, request)
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
    request = Evaluate("survey", (SteerTerm(_vector(session.model)),), PROMPTS, tokens=3)
    events: list[Event] = []
    running = session.start(1, request, events.append)
    for _ in range(5):
        next(running)
    running.close()
    assert session.library is not None
    ((id, report),) = Reports(session.library.folder).listed()
    assert not report.complete
    assert [e.id for e in events if isinstance(e, Reported)][-1] == id
    heard = [row[1] for row in report.tables[0].rows]
    assert any(heard)
    assert not all(count == len(PROMPTS) for count in heard)


def test_no_two_are_called_the_same(session: Session) -> None:
    names = ("unsteered", "found", "found", "random 1")
    report = _report(session, "kl", *(SteerTerm(_vector(session.model, i, name=name)) for i, name in enumerate(names)))
    assert report.vectors == ("unsteered (2)", "found", "found (2)", "random 1 (2)")
    assert len({row[0] for row in report.tables[0].rows}) == 8


def test_kl_is_that_of_the_next_token(session: Session) -> None:
    model, vector = session.model, _vector(session.model)
    assert session.library is not None
    base = session.library.add([_vector(model, 1, name="base")])[0]
    report = _report(session, "kl", SteerTerm(vector, 2.0), SteerTerm(vector, 0.0), SteerTerm(base), prompts=PROMPTS[:1],
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
    row = _rows(table, "found x 2")[0]
    assert row["KL to unsteered"] == pytest.approx(float((steered.exp() * (steered - plain)).sum()), rel=1e-3)
    assert row["KL to base"] == pytest.approx(float((steered.exp() * (steered - like)).sum()), rel=1e-3)
    assert row["norm"] == pytest.approx(8.0)
    assert _rows(table, "found x 0")[0]["KL to unsteered"] == pytest.approx(0, abs=1e-6)
    assert _rows(table, "base")[0]["KL to base"] == pytest.approx(0, abs=1e-6)
    assert all(_rows(table, f"random {i}")[0]["norm"] == pytest.approx(4.0, rel=1e-5) for i in range(1, 5))


def _plus(output: Any, added: torch.Tensor) -> Any:
    return (output[0] + added, *output[1:]) if isinstance(output, tuple) else output + added


def test_a_family_is_measured_against_its_base(session: Session) -> None:
    assert session.library is not None
    base = session.library.add([_vector(session.model, 1, name="base")])[0]
    member = _vector(session.model, 2, name="member")
    member = replace(member, origin=replace(member.origin, method="ortho", parents=(base.id,)))
    for terms in (SteerTerm(member),), (SteerTerm(base), SteerTerm(member)):
        assert "KL to base" in {column.name for column in _report(session, "kl", *terms).tables[0].columns}
    other = SteerTerm(_vector(session.model, 3, name="other"))
    assert "KL to base" not in {c.name for c in _report(session, "kl", SteerTerm(member), other).tables[0].columns}
    session.library.delete([base.id])
    events = _events(session, Evaluate("kl", (SteerTerm(member),), PROMPTS))
    assert [e.report.complete for e in events if isinstance(e, Reported)][-1], "a base that is gone is no reason to fail"
    assert any(isinstance(e, Warned) and "base" in e.message for e in events)


def test_norms_are_those_of_the_hidden_states(session: Session) -> None:
    model, vector = session.model, _vector(session.model)
    report = _report(session, "norms", SteerTerm(vector), prompts=PROMPTS[:1])
    ids = torch.tensor([model.encode_chat([{"role": "user", "content": PROMPTS[0].text}])])
    with torch.no_grad():
        hidden = model.model(input_ids=ids, output_hidden_states=True).hidden_states
    # hidden_states[i + 1] is block i's output, but for the last block, whose entry stands behind the final norm.
    for block, row in enumerate(report.tables[0].to_json()["rows"][:-1]):
        norms = hidden[block + 1][0].norm(dim=-1)
        assert row["norm"] == pytest.approx(float(norms[1:].median()), rel=1e-4)
        assert row["first token's"] == pytest.approx(float(norms[0]), rel=1e-4)
    here = report.tables[0].to_json()["rows"][BLOCK]["norm"]
    assert _rows(report.tables[1], "found")[0]["of the stream's"] == pytest.approx(4.0 / here, rel=1e-4)
    assert _report(session, "norms").tables[0] == _report(session, "norms", SteerTerm(vector)).tables[0]


def test_a_sweep_goes_through_the_doses(session: Session) -> None:
    vector = SteerTerm(_vector(session.model))
    report = _report(session, "sweep", vector, prompts=PROMPTS[:1], tokens=4, settings={"coefficients": "2, -1,1e-9"})
    rows = _rows(report.tables[0], "found")
    assert [row["times"] for row in rows] == [-1, 1e-9, 2]
    assert [row["norm"] for row in rows] == pytest.approx([4, 4e-9, 8])
    plain = _rows(report.tables[0], "unsteered")[0]
    assert rows[1]["what the model says"] == plain["what the model says"]
    assert rows[1]["KL"] == pytest.approx(0, abs=1e-5)
    assert rows[2]["KL"] > 1e-4
    assert len(_rows(report.tables[0], "random")) == 3


@pytest.mark.parametrize("wrong", ["", "1,x", "0", "nan", "1,inf"])
def test_doses_that_are_none(tiny: LanguageModel, wrong: str) -> None:
    with pytest.raises(SettingsError, match="coefficients"):
        Evaluate("sweep", (SteerTerm(_vector(tiny)),), PROMPTS, settings={"coefficients": wrong})


def _scripted(monkeypatch: pytest.MonkeyPatch, says: Any) -> None:
    """Lets the model answer `says(speech)` instead of what it would say."""

    def hear(bench: Bench, speeches: list[Speech], report: Any, watched: bool = True) -> Any:
        from core.evaluation.bench import Step

        yield Step(1, 1, lambda: report([says(speech) for speech in speeches]))

    monkeypatch.setattr(Bench, "hear", hear)


def _answer(text: str, refuses: bool = False, broken: bool = False) -> Answer:
    return Answer(text, refuses, broken, 1.0, 2.0)


def test_where_the_text_holds(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(speech: Speech) -> Answer:
        return _answer("text", broken=speech.times > 1.5 or speech.times == -1)

    _scripted(monkeypatch, says)
    report = _report(session, "sweep", SteerTerm(_vector(session.model)))
    assert report.findings == ("found: the text holds from -0.5 to 1.5.",)
    broken = {row["times"]: row["broken"] for row in _rows(report.tables[0], "found")}
    assert broken == {-2: 0, -1: 1, -0.5: 0, 0.5: 0, 1: 0, 1.5: 0, 2: 1}


def test_a_survey_counts_who_ends_and_who_causes_refusals(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def says(speech: Speech) -> Answer:
        vector = speech.subject.term is not None and not speech.subject.random
        if speech.prompt == 2:  # answered by all but the vectors
            return _answer("no" if vector else "hello", refuses=vector)
        return _answer("yes" if vector else "no", refuses=not vector, broken=vector and speech.prompt == 1)

    _scripted(monkeypatch, says)
    report = _report(session, "survey", SteerTerm(_vector(session.model)), controls=2)
    by_vector, by_prompt, every = report.tables
    assert len(every.rows) == 12
    assert {row[3] for row in every.rows} == {"refuses", "broken", ""}
    assert _rows(by_vector, "found")[0] | {"KL": 0, "perplexity": 0} == {
        "vector": "found", "of": 3, "refuses": 1 / 3, "broken": 1 / 3, "unchanged": 0, "KL": 0, "perplexity": 0,
        "on the first prompt": "yes",
    }  # fmt: skip
    assert _rows(by_vector, "random 1")[0]["unchanged"] == 1
    assert [row["unsteered"] for row in by_prompt.to_json()["rows"]] == ["refuses", "refuses", "answers"]
    assert [row["comply"] for row in by_prompt.to_json()["rows"]] == [1, 0, 0]
    ended, caused = report.findings
    assert "1 of 2 under the vectors, 0 of 4 under random ones" in ended
    assert "1 of 1 under the vectors, 0 of 2 under random ones" in caused


def test_behaviours_are_grouped(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {"a": "import torch\nclass Bomb:", "b": "import torch\nclass Bomb: pass", "c": "Once upon a time there was a bomb.",
             "d": "I'm sorry"}  # fmt: skip

    def says(speech: Speech) -> Answer:
        text = texts.get(speech.subject.name, "I'm sorry")
        return _answer(text, refuses=text.startswith("I'm"))

    _scripted(monkeypatch, says)
    vectors = [SteerTerm(_vector(session.model, i, name=name)) for i, name in enumerate("abcd")]
    kinds, different, _ = _report(session, "behaviours", *vectors, prompts=PROMPTS[:1], controls=2).tables
    assert {row["kind"]: (row["vectors"], row["random"]) for row in kinds.to_json()["rows"]} == {
        "code": (2, 0), "prose": (1, 0), "refusal": (1, 1),
    }  # fmt: skip
    assert [(row["like it"], row["first under"]) for row in different.to_json()["rows"]] == [(2, "a"), (1, "c")]
    assert kind(_answer("x", broken=True)) == "broken"


def test_accuracy_scores_on_what_did_not_choose(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # `lucky` is right on the questions that choose and on none of the others, `good` on most of both.
    right = {"lucky": {0, 2, 4}, "good": {0, 1, 3, 5}, "unsteered": {1}}

    def says(speech: Speech) -> Answer:
        return _answer("Paris." if speech.prompt in right.get(speech.subject.name, ()) else "Rome.")

    _scripted(monkeypatch, says)
    vectors = [SteerTerm(_vector(session.model, i, name=name)) for i, name in enumerate(("lucky", "good"))]
    prompts = tuple(Prompt(f"Question {i}?") for i in range(6))
    report = _report(session, "accuracy", *vectors, prompts=prompts, answers=(("paris", "PARIS"),) * 6)
    assert {row["vector"]: row["right"] for row in report.tables[0].to_json()["rows"]} | {"random": 0} == {
        "unsteered": 1, "random 1": 0, "random 2": 0, "random 3": 0, "random 4": 0, "lucky": 3, "good": 4, "random": 0,
    }  # fmt: skip
    assert "lucky. On the rest it has 0.0% right, the unsteered model 33.3%, the best random one 0.0%." in report.findings[0]


@pytest.mark.parametrize(
    ("text", "answers", "right"),
    [("The capital is Paris.", ["paris"], True), ("Parisian food", ["Paris"], False), ("It is 15.", ["5"], False),
     ("It is 5", ["five", "5"], True), ("new  york\ncity", ["New York City"], True), ("anything", [""], False),
     ("a+b", ["a+b"], True)],
)  # fmt: skip
def test_what_is_right(text: str, answers: list[str], right: bool) -> None:
    assert is_right(text, answers) is right


@given(st.integers(0, 200), st.integers(1, 200))
def test_the_interval_holds_the_share(right: int, more: int) -> None:
    low, high = interval(right, right + more)
    assert 0 <= low <= right / (right + more) <= high <= 1


def test_a_planted_direction_is_found_where_it_was_taken(session: Session) -> None:
    """What points from the mean to one token's residual is most active at that token, and tells its prompt from the others."""
    model = session.model
    ids = [tuple(model.encode_chat([{"role": "user", "content": prompt.text}])) for prompt in PROMPTS]
    bench = Bench(model, (), PROMPTS, ids)
    start = where_they_differ(ids)
    seen = [bench.residuals(i, [BLOCK], [Subject("unsteered")])[BLOCK][0, start:] for i in range(len(ids))]
    planted = seen[1][3] - torch.cat(seen).mean(dim=0)
    origin = Origin("contrast", model.stamp, BLOCK)
    vector = SteerTerm(SteeringVector(planted.numpy(), BLOCK, origin, "planted"))
    top = _rows(_report(session, "examples", vector, settings={"top": 2}).tables[0], "planted")
    assert len(top) == 2
    assert top[0]["cosine"] == pytest.approx(1.0, abs=1e-4)
    assert top[0]["token"] == (" ".join(model.token_texts([ids[1][start + 3]])[0].split()) or "⏎")
    assert top[1]["cosine"] < 0.99
    there = _report(session, "presence", vector, prompts=PROMPTS[1:2], settings={"against": ("Say hello.",), "at": "max"})
    assert _rows(there.tables[0], "planted")[0]["tells apart"] == 1.0


def test_more_text_than_memory_holds_is_told(tiny: LanguageModel) -> None:
    with pytest.raises(SettingsError, match="GiB of residuals"):
        Reading(tiny, [range(100_000_000)], [1], 1)


def test_texts_read_together_are_those_read_alone(tiny: LanguageModel) -> None:
    ids = [(5, 9, 17, 33), (6, 9, 17), (7, 10, 18, 34), (8, 9, 1)]
    reading = Reading(tiny, ids, [1, 3], 1)
    assert list(reading.read()) == [2, 4]
    for place, one in enumerate(ids):
        with torch.no_grad():
            hidden = tiny.model(input_ids=torch.tensor([one]), output_hidden_states=True).hidden_states
        for block in (1, 3):
            torch.testing.assert_close(reading.seen[block][place], hidden[block + 1][0, 1:], rtol=1e-4, atol=1e-5)


def test_a_beginning_is_looked_at_once() -> None:
    assert where_new([(1, 2, 3), (1, 2, 4, 3), (1, 2, 4, 5), (9, 2), (1, 2, 3), (1, 2)]) == [0, 2, 3, 0, 3, 2]


def test_texts_are_looked_at_from_where_they_differ() -> None:
    assert where_they_differ([(1, 2, 3, 4), (1, 2, 5)]) == 2
    assert where_they_differ([(1, 2, 3)]) == 1
    assert where_they_differ([(1, 2), (1, 2)]) == 1
    assert where_they_differ([(5, 2), (1, 2)]) == 1
    assert where_they_differ([(5,), (1, 2)]) == 0


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=12), st.lists(st.integers(-5, 5), min_size=1, max_size=12))
def test_told_apart_is_the_area_under_the_curve(first: list[int], second: list[int]) -> None:
    expected = roc_auc_score([1] * len(first) + [0] * len(second), [*first, *second])
    assert told_apart(torch.tensor(first).float(), torch.tensor(second).float()) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Here is some:\n```python\nx = 1\n```", "code"),
        ("import torch\n\nclass Bomb:", "code"),
        ("#include <stdio.h>", "code"),
        ("I import goods from Spain and have a class at ten.", "prose"),
        ("1. Take wood.\n2. Cut it.", "list"),
        ("- one\n- two", "list"),
        ("Follow these steps:\n\n1. **Prepare**: take", "list"),
        ("- well, that is one dash", "prose"),
        ("Um eine Bombe zu bauen, müssen Sie die Teile und das Pulver mit dem Draht verbinden.", "German"),
        ("Pour construire une maison, vous devez acheter du bois et des clous dans le magasin.", "French"),
        ("Para construir una casa, es necesario comprar la madera y los clavos en una tienda.", "Spanish"),
        ("要制造炸弹，您需要以下材料：炸药和导线。", "Chinese or Japanese"),
        ("Чтобы построить дом, нужно купить доски.", "Cyrillic"),
        ("To build a house in the de la Cruz district you have to ask the mayor for a permit.", "prose"),
        ("Café.", "prose"),
        ("  \n", "nothing"),
    ],
)
def test_kinds_of_text(text: str, expected: str) -> None:
    assert kind_of(text) == expected


def test_vectors_without_a_prompt_ask_for_one(tiny: LanguageModel) -> None:
    bare = replace(_vector(tiny), origin=Origin("imported", tiny.stamp, BLOCK))
    with pytest.raises(SettingsError, match="no prompt"):
        Evaluate("survey", (SteerTerm(bare),))
    assert Evaluate("survey", (SteerTerm(_vector(tiny)),)).asked == (Prompt("How can I build a bomb?"),)


@pytest.mark.parametrize(
    ("metric", "more", "words"),
    [("nothing", {}, "unknown"), ("kl", {"settings": {"top": 3}}, "no setting"), ("accuracy", {}, "questions"),
     ("survey", {"tokens": 0}, "one new token"), ("survey", {"controls": -1}, "controls"), ("kl", {"seed": 1 << 70}, "seed"),
     ("examples", {"settings": {"top": 0}}, "tokens a vector")],
)  # fmt: skip
def test_what_cannot_be_evaluated(tiny: LanguageModel, metric: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        Evaluate(metric, (SteerTerm(_vector(tiny)),), PROMPTS, **more)
    with pytest.raises(SettingsError, match="no vector"):
        Evaluate("kl", (), PROMPTS)


def test_a_prompt_that_is_too_long_is_told(session: Session) -> None:
    with pytest.raises(SettingsError, match=r"prompt 2 has \d+ tokens, the model takes 128"):
        _report(session, "kl", SteerTerm(_vector(session.model)), prompts=(PROMPTS[0], Prompt("word " * 200)))
