"""What is written is read as the same, and any text is read or refused."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors.expression import trees
from vectors.expression import Expression, ExpressionError, completions, from_json, parse, to_json, written
from vectors.files.strict_json import dumps, loads

_grammar = st.sampled_from(
    [
        *'"!@=+- ,:<>5.',
        " + ",
        " - ",
        "a",
        "bomb-03",
        "1.5 ",
        "1e9",
        "@all",
        "@first:3",
        "@at:1,2",
        "@blocks:1-2",
        "@set",
        "@when:b>1",
        "漢",
        "\n",
    ]
)
texts = st.lists(_grammar, max_size=12).map("".join) | st.text(max_size=30)


@settings(max_examples=80)
@given(trees.expressions)
def test_what_is_written_is_read_as_the_same(expression: Expression) -> None:
    text = str(expression)
    assert parse(text) == expression
    assert str(parse(text)) == text


@settings(max_examples=150)
@given(texts)
def test_a_text_is_refused_at_a_column_or_has_a_normal_form(text: str) -> None:
    try:
        expression = parse(text)
    except ExpressionError as error:
        refused = error
    else:
        assert parse(str(expression)) == expression
        for place in expression.named():
            assert text[place.column - 1 :].startswith((place.name, '"' + place.name.replace('"', '""')))
        return
    assert 1 <= refused.column <= len(text) + 1
    assert "\n" not in str(refused)


@settings(max_examples=50)
@given(trees.expressions, st.lists(trees.names, max_size=3), trees.numbers)
def test_known_names_win_and_a_normal_form_can_be_read_beside_them(
    expression: Expression, names: list[str], number: float
) -> None:
    known = {*names, str(expression)}
    for name in names:
        if name == name.strip(" "):
            assert [(term.name, term.coefficient) for term in parse(name, known)] == [(name, 1)]
            if f"{name}={number!r}" not in known:
                assert [(term.name, term.coefficient) for term in parse(f"{name}={number!r}", known)] == [(name, number)]
    assert parse(written(expression, known), known) == expression


@settings(max_examples=50)
@given(trees.expressions)
def test_what_is_kept_is_read_as_the_same(expression: Expression) -> None:
    # Files keep names in one line, as the library does.
    expression = expression.resolved(lambda place: ("run/0", " ".join(place.name.split())))
    kept = to_json(expression)
    assert loads(dumps(kept)) == json.loads(json.dumps(kept)) == kept
    assert from_json(kept) == expression


@settings(max_examples=60)
@given(trees.expressions.map(str), st.data())
def test_what_is_offered_can_stand_there(text: str, data: st.DataObject) -> None:
    cursor = data.draw(st.integers(0, len(text)))
    for one in completions(text, cursor, ["bomb-03", "a b", "5", "@"]):
        assert 0 <= one.start <= one.end == cursor
        typed = one.applied(text[:cursor])
        if not one.text.endswith(":"):  # a form that goes on
            gate = text[: one.start].endswith("@when:")
            parse(f"{typed}>1" if gate else typed)


@settings(max_examples=60)
@given(texts, st.integers(0, 30))
def test_whatever_is_typed_can_be_completed(text: str, cursor: int) -> None:
    for one in completions(text, min(cursor, len(text)), ["bomb-03", "a b", text]):
        assert 0 <= one.start <= one.end <= len(text)
