"""Metrics that read texts: where directions are active, and what they tell apart."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from core.engine.session import Session
from core.errors import SettingsError
from core.evaluation.condition import Condition
from core.evaluation.context import Context
from core.evaluation.examples import where_new, where_they_differ
from core.evaluation.presence import told_apart
from core.evaluation.reading import Reading
from core.model.language_model import LanguageModel
from core.steering.terms import SteerTerm
from tests.core.measuring import BLOCK, PROMPTS, report_of, rows_called
from vectors.vector import Origin, SteeringVector


def test_a_planted_direction_is_found_where_it_was_taken(session: Session) -> None:
    """What points from the mean to one token's residual is most active at that token, and tells its prompt from the others."""
    model = session.model
    ids = [tuple(model.encode_chat([{"role": "user", "content": prompt.text}])) for prompt in PROMPTS]
    context = Context(model, (), PROMPTS, ids)
    start = where_they_differ(ids)
    seen = [context.residuals(i, [BLOCK], [Condition("unsteered")])[BLOCK][0, start:] for i in range(len(ids))]
    planted = seen[1][3] - torch.cat(seen).mean(dim=0)
    origin = Origin("contrast", model.stamp, BLOCK)
    vector = SteerTerm(SteeringVector(planted.numpy(), BLOCK, origin, "planted"))
    top = rows_called(report_of(session, "examples", vector, settings={"top": 2}).tables[0], "planted")
    assert len(top) == 2
    assert top[0]["cosine"] == pytest.approx(1.0, abs=1e-4)
    assert top[0]["token"] == (" ".join(model.token_texts([ids[1][start + 3]])[0].split()) or "⏎")
    assert top[1]["cosine"] < 0.99
    there = report_of(session, "presence", vector, prompts=PROMPTS[1:2], settings={"against": ("Say hello.",), "at": "max"})
    assert rows_called(there.tables[0], "planted")[0]["AUC"] == 1.0


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
