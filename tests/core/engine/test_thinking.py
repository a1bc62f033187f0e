"""Runs, replies and metrics on a model that thinks before it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.engine.evaluation_requests import Evaluate
from core.engine.events import Event, Generated, Reported, VectorFound
from core.engine.requests import Reply, ReplyRow, Request, Train
from core.engine.session import Session
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.model.prompts import prompt_ids
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from melbo_tui.run_state import RunState
from tests.chat_templates import GPT_OSS, QWEN3
from tests.core.measuring import rows_called
from tests.tiny_models import chain_model, tiny_model, tiny_tokenizer
from vectors.completion import Judgement
from vectors.store.checkpoints import Checkpoints
from vectors.store.library import Library

Perform = Callable[[Request], list[Event]]


def _performer(library: Library, model: LanguageModel) -> Perform:
    session = Session(library)
    session.model = model

    def perform(request: Request) -> list[Event]:
        events: list[Event] = []
        for _ in session.start(1, request, events.append):
            pass
        return events

    return perform


@pytest.fixture
def perform(library: Library) -> Perform:
    """Carries out requests on a model that thinks `Why?` and refuses, or, where the template has it not think, says `No.`"""
    template = QWEN3.template.replace("</think>\n\n{% endif", "</think>:{% endif")
    tokenizer = tiny_tokenizer(template, QWEN3.special, QWEN3.added)
    ids = tokenizer("\n<think>Why?</think>I can't<|im_end|>:No.<|im_end|>")["input_ids"]
    return _performer(library, LanguageModel(chain_model(ids), tokenizer, "chain"))


def _train(**settings: object) -> Train:
    given = {"prompts": (Prompt("q"),), "method": "random", "vectors": 2, "radius": 1e-3, "controls": 1, "sample_tokens": 20}
    return Train(**{**given, **settings})  # type: ignore[arg-type]


def test_a_run_s_samples_are_judged_by_their_answers(perform: Perform, library: Library) -> None:
    events = perform(_train())
    last = {event.key: event for event in events if isinstance(event, Generated)}
    assert set(last) == {"unsteered", "control:0", "0", "1"}
    for event in last.values():
        completion = event.completion
        assert (completion.text, completion.thought, completion.thinking) == ("I can't", "Why?", False)
        assert event.judgement.refuses
        assert completion.tokens == completion.thought_tokens + len("I can't")
    for one in events:
        if isinstance(one, Generated) and one.completion.thinking:
            assert (one.completion.text, one.judgement) == ("", Judgement())
    found = next(event for event in events if isinstance(event, VectorFound))
    (sample,) = library.samples(found.id)
    assert (sample.completion.text, sample.completion.thought) == ("I can't", "Why?")


def test_a_thought_that_comes_to_no_answer_is_no_compliance(perform: Perform) -> None:
    run = RunState()
    for event in perform(_train(thought_tokens=3)):
        run.take(event)
    assert all(one.completion.thinking and one.completion.finished for one in run.generated.values())
    assert "came to no answer in 3 tokens" in run.summary()
    unsteered = run.generated["unsteered"]
    run.generated["unsteered"] = replace(unsteered, completion=replace(unsteered.completion, text="I can't"))
    assert run.summary() == (
        "0 of 2 no longer refuse, 0 unbroken, 0 (0-66%) on topic; random: 0, 0, 0 of 1; 2 thoughts came to no answer"
    )


def test_the_template_s_arguments_are_kept_and_asked_again(perform: Perform, library: Library) -> None:
    events = perform(_train(prompts=(Prompt("q", template={"enable_thinking": False}),)))
    found = next(event for event in events if isinstance(event, VectorFound))
    last = next(event.completion for event in reversed(events) if isinstance(event, Generated))
    assert (last.text, last.thought, last.thought_tokens) == ("No.", "", 0)
    vector = library.load(found.id)
    assert vector.origin.settings["template"] == {"enable_thinking": False}
    assert Evaluate("survey", ((SteerTerm(vector),),)).asked == (Prompt("q", template={"enable_thinking": False}),)


@pytest.mark.parametrize(("tokens", "kind"), [(512, "refusal"), (3, "no answer")])
def test_metrics_see_the_answer_alone(perform: Perform, library: Library, tokens: int, kind: str) -> None:
    found = next(event for event in perform(_train()) if isinstance(event, VectorFound))
    term = SteerTerm(library.load(found.id))

    def report(metric: str, **more: object) -> object:
        request = Evaluate(metric, ((term,),), (Prompt("q"),), controls=1, thought_tokens=tokens, **more)  # type: ignore[arg-type]
        return [event.report for event in perform(request) if isinstance(event, Reported)][-1]

    kinds = report("behaviours").tables[0]  # type: ignore[attr-defined]
    assert [row["kind"] for row in kinds.to_json()["rows"]] == [kind]
    survey = report("survey")
    by_prompt = survey.tables[1].to_json()["rows"][0]  # type: ignore[attr-defined]
    assert (by_prompt["comply"], by_prompt["refuse"]) == (0.0, float(kind == "refusal"))
    right = report("accuracy", answers=(("why",),))
    (row,) = rows_called(right.tables[0], found.name)  # type: ignore[attr-defined]
    assert row["right"] == 0, "what is only thought is not answered"


def test_replies_are_given_the_template_s_arguments(perform: Perform) -> None:
    rows = tuple(
        ReplyRow(key, (("user", "q"),), max_new_tokens=20, template=template)
        for key, template in (("on", {}), ("off", {"enable_thinking": False}))
    )
    last = {event.key: event.completion for event in perform(Reply(rows)) if isinstance(event, Generated)}
    assert {key: one.text for key, one in last.items()} == {"on": "I can't", "off": "No."}
    with pytest.raises(SettingsError, match="enable_thnking"):
        perform(Reply((replace(rows[0], template={"enable_thnking": 1}),)))


def test_a_contrast_asks_its_prompts_as_the_run_s(library: Library) -> None:
    tokenizer = tiny_tokenizer(QWEN3.template, QWEN3.special, QWEN3.added)
    perform = _performer(library, LanguageModel(tiny_model("llama"), tokenizer, "tiny"))
    sides = {"positive": ["a", "b"], "negative": ["c", "d"]}
    directions = []
    for template in ({}, {"enable_thinking": False}):
        request = _train(method="contrast", settings=sides, vectors=None, prompts=(Prompt("q", template=template),))
        found = next(event for event in perform(request) if isinstance(event, VectorFound))
        directions.append(library.load(found.id))
    assert abs(directions[0].cosine(directions[1])) < 0.999


def test_a_prompt_with_the_date_is_the_same_on_another_day(library: Library) -> None:
    tokenizer = tiny_tokenizer(GPT_OSS.template, GPT_OSS.special)
    session = Session(library)
    session.model = LanguageModel(tiny_model("llama", max_position_embeddings=512), tokenizer, "dated")
    steps = session.start(1, _train(sample_tokens=0), lambda event: None)
    for _ in steps:
        pass
    origin = library.entries(kept_only=False)[0].origin
    assert list(origin.settings["template"]) == ["date"]
    before = Prompt.of(replace(origin, settings={"template": {"date": "2024-02-29"}}), "q")
    assert "2024-02-29" in session.model.decode(prompt_ids(session.model, before))
    running = session.start(2, _train(method="melbo", vectors=2, steps=2, settings={}, sample_tokens=0), lambda event: None)
    next(running)
    next(running)
    running.close()
    (left,) = Checkpoints(library.folder).unfinished()
    request = Train.from_json(Checkpoints(library.folder).load(left).header["request"])
    assert list(request.prompts[0].template) == ["date"], "also where it is taken up again"


def test_what_only_a_template_could_use_is_refused_without_one() -> None:
    for wrong in ({"raw": True, "system": "x"}, {"raw": True, "template": {"a": 1}}, {"ids": (1, 2), "system": "x"}):
        with pytest.raises(SettingsError, match="no chat template"):
            Prompt("q", **wrong)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="no chat template"):
        ReplyRow("a", (("system", "x"), ("user", "q")), raw=True)
    with pytest.raises(SettingsError, match="at least one token"):
        _train(thought_tokens=0)
