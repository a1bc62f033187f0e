"""Thoughts told from answers, in texts and while a model that thinks is generating."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.evaluation.behaviours import kind
from core.evaluation.judging import judge
from core.evaluation.refusal import refuses
from core.model.language_model import LanguageModel
from core.model.templates import ChatTemplate
from core.model.thoughts import Marks, marks_in, split
from core.prompt import Prompt
from core.steering.generation import Completion, Row, Sampling, generate
from core.steering.terms import SteerTerm
from tests.chat_templates import GPT_OSS, MISTRAL, PHI3, PUBLISHED, QWEN3, R1, Published
from tests.core.measuring import found_vector
from tests.tiny_models import chain_model, tiny_tokenizer
from vectors.completion import LENGTH, NO_ANSWER, Judgement
from vectors.vector import ModelStamp, Origin

TAGS = Marks("<think>", "</think>")


@pytest.mark.parametrize(
    ("texts", "marks"),
    [
        (["{% if '</think>' in content %}"], TAGS),
        (["", "<seed:think>", "</seed:think>"], Marks("<seed:think>", "</seed:think>")),
        (["in <reasoning> and </reasoning>"], Marks("<reasoning>", "</reasoning>")),
        (["[/THINK]"], Marks("[THINK]", "[/THINK]")),
        ([PHI3.template, *PHI3.special], None),
        (["I think </i>", "<tool_call>"], None),
    ],
)
def test_marks_are_those_that_the_template_or_the_tokens_spell(texts: list[str], marks: Marks | None) -> None:
    assert marks_in(texts) == marks


@pytest.mark.parametrize(
    ("text", "opened", "parts"),
    [
        ("<think>\nHm.\n</think>\n\nYes.", False, ("Hm.", "Yes.")),
        ("Hm.\n</think>\n\nYes.", True, ("Hm.", "Yes.")),
        ("<think>\n\n</think>\n\nYes.", False, ("", "Yes.")),
        ("<think>\nHm", False, ("Hm", None)),
        ("<think>Hm.</thi", False, ("Hm.", None)),
        ("\n<thi", False, (None, None)),
        ("", False, (None, None)),
        ("Yes, <think> is a tag.", False, (None, "Yes, <think> is a tag.")),
        ("Hm", True, ("Hm", None)),
    ],
)
def test_a_text_is_split(text: str, opened: bool, parts: tuple[str | None, str | None]) -> None:
    assert split(text, TAGS, opened) == parts


def test_harmony_s_channels_are_a_thought_until_the_final_one() -> None:
    marks = marks_in([GPT_OSS.template])
    start = "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant"
    more = "<|channel|>commentary to=browser<|message|>look<|end|><|start|>assistant"
    assert split(start, marks) == ("Hm.", None)
    assert split(f"{start}{more}<|channel|>final<|message|>Yes.", marks) == ("Hm.\n\nlook", "Yes.")
    assert split("<|channel|>final<|message|>Yes.", marks) == ("", "Yes.")


@given(st.text())
def test_a_model_without_marks_only_answers(text: str) -> None:
    assert split(text, None) == (None, text)


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("<think>\nI must decline.\n</think>\n\nI'm sorry, but I can't help with that.", True),
        ("<think>\nI could say I'm sorry, but I can't; yet this is a birdhouse.\n</think>\n\nFirst cut the wood.", False),
        ("I'm sorry, I can't? No.</think>First cut the wood.", False),
        ("<think>I'm sorry, but I can't", False),
        ("[THINK]I'm sorry[/THINK]Cut.", False),
        ("<|channel|>analysis<|message|>I'm sorry<|end|><|start|>assistant<|channel|>final<|message|>I can't.", True),
        ("I'm sorry, but I can't help. <think> is a tag.", True),
    ],
)
def test_a_refusal_is_the_answer_s(text: str, refused: bool) -> None:
    assert refuses(text) is refused


def _completions(
    one: Published, answer: str, sampling: Sampling, steered: bool = False, **template: object
) -> list[Completion]:
    """What a model writes that answers `q` with `answer`, step by step."""
    tokenizer = tiny_tokenizer(one.template, one.special, one.added)
    ids = tuple(ChatTemplate(tokenizer, "chain").encode([{"role": "user", "content": "q"}], template))
    model = LanguageModel(chain_model([ids[-1], *tokenizer(answer)["input_ids"]]), tokenizer, "chain")
    steering = (SteerTerm(found_vector(model, norm=1e-3)),) if steered else ()
    return [one for batch in generate(model, [Row("a", ids, steering, sampling, referenced=steered)]) for one in batch.values()]


THINKING = {
    "Qwen3": (QWEN3, "<think>Why?</think>I can't<|im_end|>"),
    "R1": (R1, "Why?</think>I can't</s>"),
    "Mistral": (MISTRAL, "[THINK]Why?[/THINK]I can't</s>"),
}


@pytest.mark.parametrize("name", THINKING)
@pytest.mark.parametrize("steered", [False, True])
def test_a_thought_is_followed_to_its_answer(name: str, steered: bool) -> None:
    one, text = THINKING[name]
    seen = _completions(one, text, Sampling(max_new_tokens=20), steered)
    last = seen[-1]
    assert (last.thought, last.text, last.finished, last.thinking) == ("Why?", "I can't", True, False)
    assert last.ids[last.thought_tokens :] == tuple(tiny_tokenizer()("I can't")["input_ids"])
    assert refuses(last.text)
    for completion in seen:
        judgement = judge(completion)
        if completion.thinking:
            assert completion.text == ""
            assert completion.kl == ()
            assert completion.perplexity is None
            assert judgement == Judgement()
            unanswered = judge(replace(completion, stop=LENGTH))
            assert not unanswered.complies
            assert kind(unanswered) == unanswered.verdict == NO_ANSWER
    if steered:
        assert len(last.kl) == len("I can't") + 1, "a token of the answer each, and the end"
        assert last.perplexity == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("special", [True, False])
def test_marks_are_seen_whether_they_are_special_tokens_or_not(special: bool) -> None:
    one = Published(R1.template, R1.end, R1.special + (R1.added if special else ()), () if special else R1.added)
    last = _completions(one, "Why?</think>No.</s>", Sampling())[-1]
    assert (last.thought, last.text) == ("Why?", "No.")


def test_marks_of_several_tokens_are_seen() -> None:
    one = Published(R1.template.replace("think", "reasoning"), R1.end, R1.special)
    last = _completions(one, "Wh?</reaso", Sampling(thought_tokens=10))[-1]
    assert (last.thought, last.text, last.thinking) == ("Wh?", "", True)


def test_answers_and_thoughts_have_limits_of_their_own() -> None:
    one, text = THINKING["Qwen3"]
    seen = _completions(one, text, Sampling(max_new_tokens=3, thought_tokens=6))
    assert (seen[-1].thought, seen[-1].text) == ("Why?", "I c")
    unfinished = _completions(one, text, Sampling(max_new_tokens=3, thought_tokens=3))[-1]
    assert (unfinished.thought, unfinished.text, unfinished.thinking, unfinished.finished) == ("Wh", "", True, True)
    assert unfinished.thought_tokens == len(unfinished.ids) == 3


def test_a_turn_that_ends_within_a_thought_has_no_answer() -> None:
    last = _completions(QWEN3, "<think>Wh<|im_end|>", Sampling(), steered=True)[-1]
    assert (last.thought, last.text, last.thinking, last.perplexity) == ("Wh", "", True, None)


def test_a_model_that_need_not_think_answers_at_once() -> None:
    last = _completions(QWEN3, "I can't<|im_end|>", Sampling(), enable_thinking=False)[-1]
    assert (last.thought, last.thought_tokens, last.text) == ("", 0, "I can't")
    empty = _completions(QWEN3, "<|im_end|>", Sampling(), enable_thinking=False)[-1]
    assert (empty.text, empty.thinking) == ("", False), "it may also say nothing"


def test_an_earlier_prompt_s_arguments_are_asked_again() -> None:
    stamp = ModelStamp("m", 8, 4)
    settings = {"template": {"enable_thinking": False}, "raw": False}
    found = Origin("melbo", stamp, 1, system="Be brief.", settings=settings)
    assert Prompt.of(found, "Hi") == Prompt("Hi", system="Be brief.", template={"enable_thinking": False})
    raw = Origin("melbo", stamp, 1, settings={"raw": True, "template": {}})
    assert Prompt.of(raw, "Hi") == Prompt("Hi", raw=True)
    assert Prompt.of(Origin("melbo", stamp, 1, settings={"raw": "yes", "template": [1]}), "Hi") == Prompt("Hi")


def test_which_models_think() -> None:
    assert {one: bool(marks_in([p.template, *p.special, *p.added])) for one, p in PUBLISHED.items()} == {
        "Qwen3": True, "R1": True, "gpt-oss": True, "Gemma": False, "Mistral": True, "Llama 3": False, "Phi-3": False,
        "GLM": False, "vision": False,
    }  # fmt: skip
