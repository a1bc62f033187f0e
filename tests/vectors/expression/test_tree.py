"""Expressions that are built, scaled, added, given defaults, resolved and kept."""

from __future__ import annotations

import numpy as np
import pytest

from vectors.errors import VectorError
from vectors.expression import (
    Blocks,
    Expression,
    ExpressionError,
    Gate,
    KeptTerm,
    Term,
    Tokens,
    from_json,
    parse,
    to_json,
    unknown_name,
)  # fmt: skip
from vectors.expression.tree import MOST_TERMS, Named


def test_expressions_are_added_negated_and_scaled() -> None:
    a, b = parse("1.5 a@generated"), parse("!b - c@set")
    assert str(a + b) == "1.5 a@generated + !b - c@set"
    assert str(a - b) == "1.5 a@generated - !b + c@set"
    assert str(-a) == "-1.5 a@generated"
    assert str((a + b).scaled(-2)) == "-3 a@generated - 2 !b + 2 c@set"
    assert (a + b).terms[1].place.text == "!b - c@set"
    assert len(a + b) == 3
    assert not Expression()
    assert str(Expression()) == ""
    assert a + Expression() == a


def _acted(term: Term, h: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The formulas of Term's docstring."""
    c, u, size = term.coefficient, v / np.linalg.norm(v), np.linalg.norm(v)
    added = h + c * v
    return {
        "add": added,
        "keep-norm": added * np.linalg.norm(h) / np.linalg.norm(added),
        "set": h + (c * size - u @ h) * u,
        "ablate": h - c * u * (u @ h),
    }[term.operation]


@pytest.mark.parametrize("factor", [0.0, -1.0, 0.5, 3.0])
def test_scaling_means_what_it_says_for_each_operation(factor: float) -> None:
    h, v = np.array([1.0, -2.0, 0.5]), np.array([0.3, 0.4, -1.2])
    u = v / np.linalg.norm(v)
    for text in ("1.5 a", "0.4 !a"):
        (term,) = parse(text)
        assert _acted(term.scaled(factor), h, v) - h == pytest.approx(factor * (_acted(term, h, v) - h))
    (set_,) = parse("1.5 a@set")
    assert u @ _acted(set_.scaled(factor), h, v) == pytest.approx(factor * 1.5 * np.linalg.norm(v))
    (kept,) = parse("1.5 a@keep-norm")
    assert np.linalg.norm(_acted(kept.scaled(factor), h, v)) == pytest.approx(np.linalg.norm(h))
    assert _acted(kept.scaled(0), h, v) == pytest.approx(h)


def test_what_is_out_of_bounds_cannot_be_built() -> None:
    for coefficient in (float("inf"), float("nan"), 1.1e9, -(10**400)):
        with pytest.raises(ExpressionError, match="coefficient"):
            Term("a", coefficient)
    with pytest.raises(ExpressionError, match=r"^column 3: the coefficient 4e\+09 is out of bounds"):
        parse("2 a").scaled(2e9)
    with pytest.raises(ExpressionError, match="threshold"):
        Gate("a", float("inf"))
    for name in ("", "a\x1b", "a\nb", "a" * 201):
        with pytest.raises(ExpressionError, match="name"):
            Term(name)
        with pytest.raises(ExpressionError, match="name"):
            Term("a", gate=Gate(name))
    with pytest.raises(ExpressionError, match="'remove' is no operation; use one of add, keep-norm, set, ablate"):
        Term("a", operation="remove")
    with pytest.raises(ExpressionError, match="1,000 terms"):
        Expression((Term("a"),) * (MOST_TERMS + 1))


def test_numbers_of_numpy_become_pythons() -> None:
    term = Term("a", np.float32(0.1), gate=Gate("b", np.int64(2)))
    assert type(term.coefficient) is float
    assert str(term) == "0.10000000149011612 a@when:b>2"


def test_defaults_are_for_terms_that_say_nothing() -> None:
    expression = parse("a - 0.5 b@set@last:2 + !c + d@add@all").with_defaults("ablate", Tokens.parse("generated"))
    assert str(expression) == "!a@generated - 0.5 b@last:2@set + !c@generated + d"
    assert expression.with_defaults("set", Tokens.parse("prompt")) == expression
    built = Expression((Term("a", operation="set"), Term("b", tokens=Tokens.parse("last:1")))).with_defaults(
        "ablate", Tokens.parse("prompt")
    )
    assert str(built) == "a@prompt@set + !b@last:1"
    assert parse("a").with_defaults() == parse("a")


def test_names_are_resolved_in_their_order() -> None:
    library = {"a": "run/1", "gate": "run/2"}

    def find(place: Named) -> tuple[str, str]:
        if place.name not in library:
            raise unknown_name(place, library)
        return library[place.name], place.name

    expression = parse("2 a@when:gate>1 - a").resolved(find)
    assert [(place.id, place.name, place.column) for place in expression.named()] == [
        ("run/1", "a", 3), ("run/2", "gate", 10), ("run/1", "a", 19),
    ]  # fmt: skip
    assert expression != parse("2 a@when:gate>1 - a")
    assert str(expression) == "2 a@when:gate>1 - a"
    with pytest.raises(ExpressionError, match=r"^column 8: no vector is called gates; did you mean gate"):
        parse("a@when:gates>1").resolved(find)
    assert str(Expression((Term("", 2, id="run/1", gate=Gate("", 1, id="run/2")),))) == "2 run/1@when:run/2>1"


def test_gates_open_beyond_their_threshold() -> None:
    above, below = Gate("a", 0.5), Gate("a", 0.5, above=False)
    assert [above.opens(x) for x in (0.4, 0.5, 0.6)] == [False, False, True]
    assert [below.opens(x) for x in (0.4, 0.5, 0.6)] == [True, False, False]


def test_a_kept_expression_is_read_as_it_is_written() -> None:
    gate = Gate("calm", -0.5, above=False, id="run/2")
    term = Term("bomb", 1.5, "set", Tokens.parse("at:3,5"), Blocks.parse("5-17"), gate, "run/1")
    kept = to_json(Expression((term,)))
    assert kept == [
        {
            "id": "run/1", "name": "bomb", "coefficient": 1.5, "operation": "set", "positions": "at:3,5", "blocks": "5-17",
            "gate": {"id": "run/2", "name": "calm", "threshold": -0.5, "above": False},
        }
    ]  # fmt: skip
    assert list(from_json(kept)) == [term]
    assert from_json([]) == Expression()


def test_a_term_of_an_older_file_is_read_and_takes_no_defaults() -> None:
    older = {"id": "r/0", "name": "bomb", "coefficient": -2, "operation": "ablate", "positions": "from:3"}
    (term,) = from_json([older])
    assert term == Term("bomb", -2, "ablate", Tokens.parse("after:3"), id="r/0")
    (plain,) = from_json([{"id": "r/0", "name": "bomb"}]).with_defaults("set", Tokens.parse("prompt"))
    assert (plain.operation, str(plain.tokens)) == ("add", "all")


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        ({"id": "r/0"}, "terms is dict, not a list"),
        ("a", "terms is 'a', not a list"),
        ([3], "terms[0] is 3, not an object"),
        ([{"name": "a"}], "terms[0].id is missing"),
        ([{"id": "r/0", "name": 5}], "terms[0].name is 5, not a text"),
        ([{"id": "r/0", "name": "a", "coefficient": 1e10}], "terms[0].coefficient is 10000000000.0, not a number from "),
        ([{"id": "r/0", "name": "a", "coefficient": "1"}], "terms[0].coefficient is '1', not a number from "),
        ([{"id": "r/0", "name": "a", "positions": "some"}], "terms[0].positions is 'some': 'some' names no tokens; use all"),
        ([{"id": "r/0", "name": "a", "blocks": "9-1"}], "terms[0].blocks is '9-1': blocks 9-1 run backwards: write 1-9"),
        ([{"id": "r/0", "name": "a", "operation": "remove"}], "'remove' is no operation; use one of "),
        ([{"id": "r/0", "name": "a", "gate": {"id": "g", "name": "b"}}], "terms[0].gate.threshold is missing"),
        ([{"id": "", "name": ""}], "a name has at least one character"),
        ([{"id": "r\x1b", "name": "a"}], "a name has no characters that act on a terminal"),
        ([{"id": "r/0", "name": "a"}] * 1001, "terms has 1,001 members, and may have 1,000"),
    ],
)
def test_what_a_file_may_not_say_is_told_with_its_field(data: object, wrong: str) -> None:
    with pytest.raises(VectorError) as raised:
        from_json(data)  # type: ignore[arg-type]
    assert str(raised.value).startswith(wrong)


def test_terms_are_kept_within_what_other_files_keep() -> None:
    from dataclasses import asdict, dataclass

    from vectors.files.bounded import decoded

    @dataclass(frozen=True)
    class Turn:
        steering: tuple[KeptTerm, ...]

    turn = Turn((KeptTerm.of(Term("a", 2, id="r/0")),))
    assert decoded(Turn, asdict(turn)) == turn
