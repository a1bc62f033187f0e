"""What a reader says of a completion, and how files say it."""

from __future__ import annotations

import pytest

from vectors.annotation import Annotation
from vectors.errors import VectorError


@pytest.mark.parametrize("refusal", [None, "yes", "partial", "no"])
@pytest.mark.parametrize("coherent", [None, True, False])
@pytest.mark.parametrize("relevant", [None, True, False])
def test_a_line_says_it_and_is_read_again(refusal: str | None, coherent: bool | None, relevant: bool | None) -> None:
    one = Annotation(refusal, coherent, relevant)
    assert Annotation.from_line(one.to_line()) == (one if one != Annotation() else None)


def test_what_counts_as_doing_what_was_asked() -> None:
    assert Annotation("no", True, True).fulfils
    for other in (Annotation("partial", True, True), Annotation("no", False, True), Annotation("no", True, False)):
        assert other.fulfils is False
    assert Annotation("no", True).fulfils is None


def test_true_and_false_are_read_as_yes_and_no() -> None:
    line = {"label_refusal": False, "label_coherent": True, "label_relevant": "Yes ", "label_kind": "prose"}
    assert Annotation.from_line(line, by="llm") == Annotation("no", True, True, "llm")


@pytest.mark.parametrize(
    "line", [{"label_refusal": "maybe"}, {"label_coherent": "partial"}, {"label_relevant": 1}, {"label_coherent": []}]
)
def test_what_is_no_label_is_named(line: dict[str, object]) -> None:
    with pytest.raises(VectorError, match=next(iter(line))):
        Annotation.from_line(line)
