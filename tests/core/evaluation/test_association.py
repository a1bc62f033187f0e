"""Pointwise mutual information of a completion and its prompt, against the probabilities of plain forwards."""

from __future__ import annotations

import math

import pytest
import torch

from core.evaluation import association
from core.evaluation.association import UNRELATED, pointwise_mutual_information, settled
from core.evaluation.fluency import perplexity
from core.model.language_model import LanguageModel
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.completion import END, Completion, Judgement


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return LanguageModel(tiny_model("llama"), tiny_tokenizer(), "tiny")


def _log_p(model: LanguageModel, prompt: str, answer: list[int]) -> float:
    ids = [*model.encode_chat([{"role": "user", "content": prompt}]), *answer]
    logs = torch.log_softmax(model.model(input_ids=torch.tensor([ids])).logits[0].double(), dim=-1)
    return sum(float(logs[place - 1, ids[place]]) for place in range(len(ids) - len(answer), len(ids))) / len(answer)


def test_it_is_the_difference_of_log_probabilities(model: LanguageModel) -> None:
    answer, prompt = [5, 9, 11], "How can I build a shed?"
    others = sum(_log_p(model, other, answer) for other in UNRELATED) / len(UNRELATED)
    assert pointwise_mutual_information(model, prompt, answer) == pytest.approx(
        _log_p(model, prompt, answer) - others, abs=1e-5
    )
    assert perplexity(model, prompt, answer) == pytest.approx(math.exp(-_log_p(model, prompt, answer)), rel=1e-4)
    assert perplexity(model, prompt, []) == math.inf


def test_it_tells_where_words_cannot(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    one, unknown = Completion("Holz", ids=(5, 9), stop=END), Judgement(kind="German")
    for value, topical in ((0.9, True), (0.1, False)):
        monkeypatch.setattr(association, "pointwise_mutual_information", lambda *asked, value=value: value)
        assert settled(model, "How can I build a shed?", one, unknown).on_topic is topical
    for prompt, completion, judgement in (
        (None, one, unknown), ("q", Completion("", stop=END), unknown), ("q", one, Judgement(on_topic=True)),
    ):  # fmt: skip
        assert settled(model, prompt, completion, judgement) == judgement
