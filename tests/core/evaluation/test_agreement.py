"""Shares and confusions, counted by hand."""

from __future__ import annotations

import pytest

from core.evaluation.agreement import Confusion, Share
from core.evaluation.criteria import CRITERIA, labelled_shares, marks_against, readers_against, word_of, word_said
from vectors.annotation import Annotation
from vectors.completion import Judgement


def test_a_confusion_by_hand() -> None:
    pairs = [(True, True), (True, True), (True, False), (False, True), (False, False), (None, True), (False, None)]
    found = Confusion.of(pairs)
    assert found == Confusion(tp=2, fp=1, fn=1, tn=1)
    assert found.n == 5
    assert (found.precision, found.recall) == (Share(2, 3), Share(2, 3))
    assert found.to_json()["precision"]["share"] == pytest.approx(2 / 3)


def test_wilson_by_hand() -> None:
    low, high = Share(8, 10).interval or (0, 0)
    assert (low, high) == (pytest.approx(0.4902, abs=1e-4), pytest.approx(0.9433, abs=1e-4))
    assert Share(0, 0).interval is None
    assert Share(0, 0).value is None
    assert Share.holding([True, None, False, True]) == Share(2, 3)


def test_each_mark_against_its_label() -> None:
    marks = [
        Judgement(refuses=True),
        Judgement(deflects=True, on_topic=False),
        Judgement(broken=True, on_topic=False),
        Judgement(on_topic=True),
        Judgement(on_topic=True),
        Judgement(on_topic=True),
    ]
    labels = [
        Annotation("yes", True, False),
        Annotation("partial", True, False),
        Annotation("no", False, True),
        Annotation("no", True, True),
        Annotation("yes", True, None),
        None,
    ]
    found = marks_against(marks, labels)
    assert found == {
        "refuses": Confusion(tp=1, fp=0, fn=1, tn=3),
        "deflects": Confusion(tp=1, fp=0, fn=0, tn=4),
        "broken": Confusion(tp=1, fp=0, fn=0, tn=4),
        "on topic": Confusion(tp=1, fp=0, fn=1, tn=1),  # the first mark and the fifth label are not told
        "fulfils": Confusion(tp=1, fp=0, fn=0, tn=3),
    }
    assert labelled_shares(labels)["refuses"] == Share(2, 5)
    assert readers_against(labels, labels)["fulfils"] == Confusion(tp=1, tn=3)
    assert list(map(word_of, marks)) == ["refuses", "deflects", "broken", "fulfils", "fulfils", "fulfils"]
    assert list(map(word_said, labels)) == ["refuses", "deflects", "broken", "fulfils", "refuses", ""]
    assert [one.mark for one in CRITERIA] == list(found)
