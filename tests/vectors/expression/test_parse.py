"""Every production of the grammar, what it means, and its normal form."""

from __future__ import annotations

import subprocess
import sys

import pytest

from vectors.expression import Blocks, Expression, Gate, Term, Tokens, feature, parse, written, written_name

T, B = Tokens.parse, Blocks.parse


@pytest.mark.parametrize(
    ("text", "terms", "normal"),
    [
        ("a", [Term("a")], "a"),
        ("-a", [Term("a", -1)], "-a"),
        ("- a", [Term("a", -1)], "-a"),
        ("-1.5 a", [Term("a", -1.5)], "-1.5 a"),
        ("+2 a", [Term("a", 2)], "2 a"),
        ("  a  ", [Term("a")], "a"),
        ("2   a", [Term("a", 2)], "2 a"),
        ("a + b", [Term("a"), Term("b")], "a + b"),
        ("a - b", [Term("a"), Term("b", -1)], "a - b"),
        ("a  -  0.5 b", [Term("a"), Term("b", -0.5)], "a - 0.5 b"),
        ("a + -0.5 b", [Term("a"), Term("b", -0.5)], "a - 0.5 b"),
        ("a - -0.5 b", [Term("a"), Term("b", 0.5)], "a + 0.5 b"),
        ("a + a", [Term("a"), Term("a")], "a + a"),
        ("1 a", [Term("a")], "a"),
        ("0 a", [Term("a", 0)], "0 a"),
        ("-0 a", [Term("a", 0)], "0 a"),
        (".5 a", [Term("a", 0.5)], "0.5 a"),
        ("5. a", [Term("a", 5)], "5 a"),
        ("1e-7 a", [Term("a", 1e-7)], "1e-07 a"),
        ("1E+3 a", [Term("a", 1000)], "1000 a"),
        ("1e-999 a", [Term("a", 0)], "0 a"),
        ("1000000000 a", [Term("a", 1e9)], "1000000000 a"),
        ("a=2", [Term("a", 2)], "2 a"),
        ("a=-1", [Term("a", -1)], "-a"),
        ("a=+.5", [Term("a", 0.5)], "0.5 a"),
        ("-a=2", [Term("a", -2)], "-2 a"),
        ("a=2@generated + b", [Term("a", 2, tokens=T("generated")), Term("b")], "2 a@generated + b"),
        ("!a", [Term("a", operation="ablate")], "!a"),
        ("-!a", [Term("a", -1, "ablate")], "-!a"),
        ("0.5 !a - 2 !b", [Term("a", 0.5, "ablate"), Term("b", -2, "ablate")], "0.5 !a - 2 !b"),
        ('"a"', [Term("a")], "a"),
        ('"5"', [Term("5")], '"5"'),
        ('"-a"', [Term("-a")], '"-a"'),
        ('2 "a b"', [Term("a b", 2)], '2 "a b"'),
        ('"say ""hi"""', [Term('say "hi"')], '"say ""hi"""'),
        ('"avg(a, -1.1 b)"=2', [Term("avg(a, -1.1 b)", 2)], '2 "avg(a, -1.1 b)"'),
        ('"a - b@all"@all', [Term("a - b@all")], '"a - b@all"'),
        ("20261126-235548-a261bc09/3", [Term("20261126-235548-a261bc09/3")], "20261126-235548-a261bc09/3"),
        ("1.5x", [Term("1.5x")], "1.5x"),
        ("1e", [Term("1e")], "1e"),
        ("größe_1.b/c:d", [Term("größe_1.b/c:d")], "größe_1.b/c:d"),
        ("٣", [Term("٣")], "٣"),
        ("sae:12 + 2 sae:3", [Term("sae:12"), Term("sae:3", 2)], "sae:12 + 2 sae:3"),
        ("a@all", [Term("a")], "a"),
        ("a@prompt", [Term("a", tokens=T("prompt"))], "a@prompt"),
        ("a@generated", [Term("a", tokens=T("generated"))], "a@generated"),
        ("a@first:3", [Term("a", tokens=T("first:3"))], "a@first:3"),
        ("a@after:3", [Term("a", tokens=T("after:3"))], "a@after:3"),
        ("a@after:0", [Term("a", tokens=T("after:0"))], "a@after:0"),
        ("a@from:3", [Term("a", tokens=T("after:3"))], "a@after:3"),
        ("a@last:6", [Term("a", tokens=T("last:6"))], "a@last:6"),
        ("a@at:3,0,3", [Term("a", tokens=T("at:0,3"))], "a@at:0,3"),
        ("a@blocks:all", [Term("a", blocks=B("all"))], "a@blocks:all"),
        ("a@blocks:5-17", [Term("a", blocks=Blocks("range", 5, 17))], "a@blocks:5-17"),
        ("a@blocks:5", [Term("a", blocks=B("5-5"))], "a@blocks:5-5"),
        ("a@add", [Term("a")], "a"),
        ("a@set", [Term("a", operation="set")], "a@set"),
        ("2 a@keep-norm", [Term("a", 2, "keep-norm")], "2 a@keep-norm"),
        ("a@when:b>0.5", [Term("a", gate=Gate("b", 0.5))], "a@when:b>0.5"),
        ("a@when:b<-1e-3", [Term("a", gate=Gate("b", -0.001, above=False))], "a@when:b<-0.001"),
        ('a@when:"b > c">2', [Term("a", gate=Gate("b > c", 2))], 'a@when:"b > c">2'),
        (
            "a@when:b>1@set@blocks:1-2@last:4",
            [Term("a", 1, "set", T("last:4"), B("1-2"), Gate("b", 1))],
            "a@last:4@blocks:1-2@set@when:b>1",
        ),
        (
            "1.5 bomb-03 - 0.5 calm@generated + !refusal@blocks:all",
            [Term("bomb-03", 1.5), Term("calm", -0.5, tokens=T("generated")), Term("refusal", 1, "ablate", blocks=B("all"))],
            "1.5 bomb-03 - 0.5 calm@generated + !refusal@blocks:all",
        ),
    ],
)
def test_a_text_has_one_meaning_and_a_normal_form(text: str, terms: list[Term], normal: str) -> None:
    expression = parse(text)
    assert list(expression) == terms
    assert str(expression) == normal
    assert parse(normal) == expression


def test_columns_count_characters_from_one_and_point_at_names() -> None:
    expression = parse('  -1.5 !"漢 字"@all + ref@when:gate>1 - b')
    assert [place.column for place in expression.named()] == [9, 21, 30, 39]
    assert expression == parse('-1.5 !"漢 字" + ref@when:gate>1 - b')


def test_what_the_text_says_is_known() -> None:
    plain, full, ablated = parse("a + b@all@add + !c")
    assert plain.said == frozenset()
    assert full.said == {"operation", "tokens"}
    assert ablated.said == {"operation"}


@pytest.mark.parametrize(
    "known",
    [{"a - 2 b", "5", "avg(a, b)", "x=2", "@", "-"}, lambda text: text in {"a - 2 b", "5", "avg(a, b)", "x=2", "@", "-"}],
)
def test_a_known_name_means_its_vector_whatever_it_looks_like(known: object) -> None:
    for name in ("a - 2 b", "5", "avg(a, b)", "x=2", "@", "-"):
        assert list(parse(name, known)) == [Term(name)]  # type: ignore[arg-type]
        assert list(parse(f" {name}=-3 ", known)) == [Term(name, -3)]  # type: ignore[arg-type]
    assert list(parse("x=3", known)) == [Term("x", 3)]  # type: ignore[arg-type]
    assert parse("  avg(a, b)=2", known).terms[0].column == 3  # type: ignore[arg-type]
    assert list(parse("5 a", known)) == [Term("a", 5)]  # type: ignore[arg-type]


def test_a_normal_form_is_not_taken_for_a_known_name() -> None:
    expression = parse("a - 2 b@set")
    known = {"a - 2 b@set", "a"}
    assert written(expression) == str(expression) == "a - 2 b@set"
    assert written(expression, known) == '"a" - 2 "b"@set'
    assert parse(written(expression, known), known) == expression
    assert written(parse("5", {"5"}), {"5"}) == '"5"'
    known |= {'"a" - 2 "b"@set', '1 "a" - 2 "b"@set'}
    assert written(expression, known) == '01 "a" - 2 "b"@set'
    assert parse(written(expression, known), known) == expression
    everything = written(parse("-2 a"), lambda text: True)
    assert parse(everything, lambda text: True) == parse("-2 a")
    assert everything.startswith("-000")
    resolved = parse("a - b").resolved(lambda place: ("run/0", place.name))
    assert written(resolved, {"a - b"}) == '"a" - "b"'


def test_names_are_quoted_exactly_where_they_need_it() -> None:
    assert [written_name(name) for name in ("a", "a-b", "1.5", "1.5x", "-a", "+a", "a b", '"', "nan", "é", "...")] == [
        "a", "a-b", '"1.5"', "1.5x", '"-a"', '"+a"', '"a b"', '""""', "nan", "é", "...",
    ]  # fmt: skip


def test_features_of_a_dictionary_are_told_by_their_name() -> None:
    assert [feature(name) for name in ("sae:0", "sae:16383", "sae:", "sae:x", "sae:-1", "a", "sae:9999999999", "sae:٣")] == [
        0, 16383, None, None, None, None, None, None,
    ]  # fmt: skip


def test_the_longest_expression_can_be_written_and_read() -> None:
    from vectors.expression.parser import MOST_CHARACTERS
    from vectors.expression.tokens import MOST_LISTED, MOST_POSITION
    from vectors.expression.tree import MOST_TERMS

    name = '"' * 200
    listed = Tokens("at", tuple(range(MOST_POSITION + 1 - MOST_LISTED, MOST_POSITION + 1)))
    term = Term(
        name, -1.2345678901234567e-301, "keep-norm", listed, Blocks("range", 9998, 9999), Gate(name, -1.2345678901234567e-301)
    )
    assert len(str(Expression((term,) * MOST_TERMS))) < MOST_CHARACTERS
    assert parse(str(Expression((term,) * 50))) == Expression((term,) * 50)


def test_it_needs_neither_torch_nor_numpy_nor_rich() -> None:
    code = "import sys, vectors.expression as e; e.parse('a'); print(*{'torch', 'numpy', 'rich'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == ""
