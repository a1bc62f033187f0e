"""The page about expressions says what the parser does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vectors.expression import ExpressionError, parse
from vectors.expression.parts import AT_FORMS

PAGE = (Path(__file__).parents[3] / "docs" / "steering.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Examples")[2].partition("\n## ")[0], re.MULTILINE)


def test_every_example_is_an_expression_in_its_normal_form() -> None:
    assert len(EXAMPLES) > 12
    for text in EXAMPLES:
        assert str(parse(text)) == (text if text != "bomb-03=1.5" else "1.5 bomb-03")


def test_the_examples_use_everything() -> None:
    parts = {part.partition(":")[0] for text in EXAMPLES for term in parse(text) for part in term.parts()}
    assert parts >= {"generated", "last", "after", "at", "blocks", "set", "keep-norm", "when"}


def test_the_expression_at_its_head_is_in_its_normal_form() -> None:
    head = re.search(r"^    (1\.5 .*)$", PAGE, re.MULTILINE)
    assert head is not None
    assert str(parse(head[1])) == head[1]


def test_the_grammar_has_every_form() -> None:
    for form in AT_FORMS:
        assert f"`@{form}`" in PAGE


def test_the_error_is_what_is_raised() -> None:
    with pytest.raises(ExpressionError) as raised:
        parse("1.5 bomb@gnerated")
    assert f"    {raised.value}\n" in PAGE


def test_what_is_called_the_same_is_the_same() -> None:
    for one, other in [("NAME=2", "2 NAME"), ("a@from:3", "a@after:3"), ("a@blocks:4", "a@blocks:4-4"), ("a@add@all", "a")]:
        assert parse(one) == parse(other)
