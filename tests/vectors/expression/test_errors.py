"""Every way in which a text can be none, with the column and what is possible there; what a terminal sees of it."""

from __future__ import annotations

import copy
import pickle
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.vectors.expression import trees
from vectors.expression import ExpressionError, Gate, Term, ambiguous_name, nearest, parse, unknown_name
from vectors.expression.parser import MOST_CHARACTERS


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "column 1: a name is missing: the text ends here"),
        ("   ", "column 4: a name is missing: the text ends here"),
        ("-", "column 2: a name is missing: the text ends here"),
        ("!", "column 2: a name is missing: the text ends here"),
        ("a +", "column 4: a term is missing behind +"),
        ("a - ", "column 5: a name is missing: the text ends here"),
        ("a + b -", "column 8: a term is missing behind -"),
        ("--a", "column 2: a name stands here; one that begins with - stands in double quotes"),
        ("a - -b", "column 5: a name stands here; one that begins with - stands in double quotes"),
        ("a -b", "column 3: - between two terms stands between spaces"),
        ("a +b", "column 3: + between two terms stands between spaces"),
        ("a+b", "column 2: + cannot stand here: behind a name stands =NUMBER, @, or a space and + or -"),
        ("a b", "column 3: b cannot stand here: between two terms stands + or -, between spaces"),
        ("nan a", "column 5: a cannot stand here: between two terms stands + or -, between spaces"),
        ("1,5 a", "column 2: a name stands behind the number 1, after a space; a name that is a number is written \"1\""),
        ("1.5", "column 4: a name stands behind the number 1.5, after a space; a name that is a number is written \"1.5\""),
        ("5=2", "column 2: a name stands behind the number 5, after a space; a name that is a number is written \"5\""),
        ("2 3 a", 'column 3: a name stands here; one that is a number stands in double quotes, as in "5"'),
        ("1e10 a", "column 1: 1e10: a number is to be from -1,000,000,000 to 1,000,000,000"),
        ("-1e400 a", "column 2: 1e400: a number is to be from -1,000,000,000 to 1,000,000,000"),
        ("a=1e400", "column 3: 1e400: a number is to be from -1,000,000,000 to 1,000,000,000"),
        ("a=inf", "column 3: a number, the coefficient, stands behind ="),
        ("a=nan", "column 3: a number, the coefficient, stands behind ="),
        ("a=2x", "column 3: a number, the coefficient, stands behind ="),
        ("a=", "column 3: a number, the coefficient, stands behind ="),
        ("2 a=3", "column 4: the term has its coefficient already, 2"),
        ("a=2=3", "column 4: = stands right behind the name, before any @, and once"),
        ("a@set=2", "column 6: = stands right behind the name, before any @, and once"),
        ("a =2", "column 3: = stands behind its name without a space"),
        ("!a=2", "column 3: the share that is removed stands before !, as in 0.5 !a"),
        ("! a", "column 2: the name stands behind ! without a space"),
        ("!!a", "column 2: ! cannot stand here: a name stands here; one with other characters than letters, digits and "
         "_ . - / : stands in double quotes"),
        ('"a', "column 1: the double quote that opens here is not closed"),
        ('x + "a""', "column 5: the double quote that opens here is not closed"),
        ('""', "column 1: a name has at least one character"),
        ("a" * 201, "column 1: a name has at most 200 characters, not 201"),
        ('b + "a\x1b"', "column 7: U+001B cannot stand in a name"),
        ('"a""\u202eb"', "column 5: U+202E RIGHT-TO-LEFT OVERRIDE cannot stand in a name"),
        ('"a\u2028"', "column 3: U+2028 LINE SEPARATOR cannot stand in a name"),
        ('"a\ud800"', "column 3: U+D800 cannot stand in a name"),
        ('"a\n"', "column 3: U+000A cannot stand in a name"),
        ('"a' + "\u0301" * 9 + '"', "column 11: U+0301 COMBINING ACUTE ACCENT cannot stand in a name"),
        ("a\u202e", "column 2: U+202E RIGHT-TO-LEFT OVERRIDE cannot stand here: "
         "behind a name stands =NUMBER, @, or a space and + or -"),
        ("a\xa0+ b", "column 2: U+00A0 NO-BREAK SPACE cannot stand here; write a space for it: "
         "behind a name stands =NUMBER, @, or a space and + or -"),
        ("a − b", "column 3: − cannot stand here; write - for it: between two terms stands + or -, between spaces"),
        ("“a b”", 'column 1: “ cannot stand here; write " for it: a name stands here; one with other characters than letters, '
         "digits and _ . - / : stands in double quotes"),
        ("a @set", "column 3: @ stands behind its name without a space"),
        ("1.5 bomb@gnerated", "column 9: @gnerated is nothing that can stand there; did you mean @generated?"),
        ("a@keepnorm", "column 2: @keepnorm is nothing that can stand there; did you mean @keep-norm?"),
        ("a@frist:3", "column 2: @frist:3 is nothing that can stand there; did you mean @first:N?"),
        ("a@blocks", "column 2: @blocks is nothing that can stand there; did you mean @blocks:I-J?"),
        ("a@", "column 2: @ stands alone; use @all, @prompt, @generated, @first:N, @after:N, @last:K, @at:I,J, @blocks:all, "
         "@blocks:I-J, @add, @keep-norm, @set, @when:NAME>X, @when:NAME<X"),
        ("a@ablate", "column 2: to ablate is written with ! before the name, as in 0.5 !NAME"),
        ("a@first", "column 2: first is written first:N"),
        ("a@from", "column 2: after is written after:N"),
        ("a@last:0", "column 2: last takes numbers from 1 to 999,999,999"),
        ("a@first:1000000000", "column 2: first takes numbers from 1 to 999,999,999"),
        ("a@first:1,2", "column 2: first is written first:N"),
        ("a@at:1,x", "column 2: at:I,J takes whole numbers from 0 to 999,999,999, not 'x'"),
        ("a@at:-1", "column 2: at:I,J takes whole numbers from 0 to 999,999,999, not '-1'"),
        ("a@at:٣", "column 2: at:I,J takes whole numbers from 0 to 999,999,999, not '٣'"),
        ("a@at:" + ",".join("1" * 300), "column 2: at lists at most 256 positions, not 300"),
        ("a@all:1", "column 2: 'all:1' names no tokens; use all, prompt, generated, first:N, after:N, last:K, at:I,J"),
        ("a@blocks:", "column 2: '' names no blocks: write all, or the first and the last, as in 5-17"),
        ("a@blocks:1-x", "column 2: '1-x' names no blocks: write all, or the first and the last, as in 5-17"),
        ("a@blocks:17-5", "column 2: blocks 17-5 run backwards: write 5-17"),
        ("a@blocks:5-10000", "column 2: blocks are numbered from 0 to 9,999"),
        ("a@all@prompt", "column 6: a term says once which tokens are steered"),
        ("a@blocks:all@blocks:1-2", "column 13: a term says once at which blocks"),
        ("a@set@keep-norm", "column 6: a term has one operation, and ! is one"),
        ("!a@set", "column 3: a term has one operation, and ! is one"),
        ("a@when:b>1@when:c<2", "column 11: a term has one gate"),
        ("a@when:b", "column 9: a gate is written when:NAME>X or when:NAME<X"),
        ("a@when:b>=1", "column 10: a number stands behind >"),
        ("a@when:>1", "column 8: > cannot stand here: a name stands here; one with other characters than letters, digits and "
         "_ . - / : stands in double quotes"),
        ("a@when:5>1", 'column 8: a name stands here; one that is a number stands in double quotes, as in "5"'),
        ("a@when:b>1e99", "column 10: 1e99: a number is to be from -1,000,000,000 to 1,000,000,000"),
        (" + ".join("a" * 1001), "column 4001: an expression has at most 1,000 terms"),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what_is_possible(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert str(raised.value) == message
    assert raised.value.text == text
    assert raised.value.column == int(message.split()[1].rstrip(":"))


def test_a_known_name_with_a_number_out_of_bounds_is_refused_there() -> None:
    with pytest.raises(ExpressionError, match=r"^column 7: 1e99: a number is to be from"):
        parse("a - b=1e99", {"a - b"})


def test_the_caret_stands_under_the_column() -> None:
    def lines(text: str, width: int = 78) -> tuple[str, str]:
        with pytest.raises(ExpressionError) as raised:
            parse(text)
        return raised.value.lines(width)

    assert lines("1.5 bomb@gnerated") == ("1.5 bomb@gnerated", "        ^")
    assert lines('"漢字" x') == ('"漢字" x', "       ^")
    assert lines('"e\u0301\x1b[2J\u202e" x') == ('"e\u0301\ufffd[2J\ufffd" x', "  ^")
    assert lines("") == ("", "^")
    assert lines("a + " * 30 + "b c", 20) == ("… + a + b c", "          ^")
    assert lines("a b" + " + a" * 30, 20) == ("a b + a + a + a + a…", "  ^")
    assert lines("a + " * 20 + "b c" + " + a" * 20, 20) == ("… + a + b c + a + a…", "          ^")


def test_an_error_without_a_text_has_no_column() -> None:
    with pytest.raises(ExpressionError) as raised:
        Term("a", float("nan"))
    assert str(raised.value).startswith("the coefficient nan is out of bounds")
    assert raised.value.lines() == ("", "")


def test_errors_can_be_sent_and_copied() -> None:
    error = ExpressionError("wrong", "text", 2)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert (str(other), other.wrong, other.text, other.column) == ("column 2: wrong", "wrong", "text", 2)


@settings(max_examples=40)
@given(st.text(), st.integers(0, 60), st.integers(8, 40))
def test_the_lines_are_safe_and_fit(text: str, column: int, width: int) -> None:
    column = min(column, len(text) + 1)
    lines = ExpressionError("wrong", text, column).lines(width)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} for line in lines for c in line)
    assert all(len(line) <= width or cell_len(line) <= width for line in lines)


@settings(max_examples=40)
@given(trees.expressions, st.integers(8, 40))
def test_the_caret_is_where_a_terminal_puts_the_column(expression: object, width: int) -> None:
    text = "".join(c for c in str(expression) if c.isascii() or c in "é漢٣字")
    for column in (1, len(text) // 2 + 1, len(text) + 1):
        shown, caret = ExpressionError("", text, column).lines(width)
        before = caret.index("^")
        assert cell_len(shown) <= width
        assert before < width
        if cell_len(text) < width:
            assert shown == text
            assert before == cell_len(text[: column - 1])


def test_unknown_and_ambiguous_names_are_told_with_their_column() -> None:
    term, gate = parse("2 bmob-03@when:calmm>1").named()
    assert isinstance(gate, Gate)
    names = ["bomb-03", "bomb-08", "calm", "Größe"]
    assert str(unknown_name(term, names)) == "column 3: no vector is called bmob-03; did you mean bomb-03 or bomb-08?"
    assert str(unknown_name(gate, names)) == "column 16: no vector is called calmm; did you mean calm?"
    assert unknown_name(gate, names).text == "2 bmob-03@when:calmm>1"
    assert str(unknown_name(term, [])) == "column 3: no vector is called bmob-03; `melbo-tui vectors list` shows what is kept"
    assert str(unknown_name(Term("avg a"), ["avg(a)"])) == 'no vector is called avg a; did you mean "avg(a)"?'
    assert str(ambiguous_name(term, ["r/1", "r/2"])) == "column 3: bmob-03 is the name of 2 vectors; write an id: r/1; r/2"
    many = [f"r/{i}" for i in range(9)]
    assert str(ambiguous_name(term, many)).endswith("of 9 vectors; write an id: r/0; r/1; r/2; r/3; r/4 and 4 more")
    assert nearest("GRÖSSE", names) == ["Größe"]
    assert nearest("calm", names, 1) == ["calm"]
    assert "\x1b" not in str(unknown_name(term, ["bmob\x1b-03"]))


@pytest.mark.parametrize(
    "unit", ["-", '"', "@", "1", "a", " ", "9.", "1,", "a + ", '""', "\u202e", "a\u0301", "漢", 'a@when:"']
)
@pytest.mark.parametrize("start", ["", '"', "a@at:", "a@when:b>"])
def test_hostile_texts_are_refused_at_once(start: str, unit: str) -> None:
    text = (start + unit * (200_000 // len(unit)))[:200_000]
    begun = time.process_time()
    with pytest.raises(ExpressionError) as raised:
        parse(text)
    assert time.process_time() - begun < 0.5  # a text that took time by its square would need minutes
    assert len(str(raised.value)) < 400
    assert "\n" not in str(raised.value)
    assert len(raised.value.lines()[0]) < 200


def test_a_text_of_any_size_is_refused() -> None:
    for text in ("-" * 10_000_000, '"' * 10_000_000, "@" * 10_000_000):
        with pytest.raises(
            ExpressionError, match=f"10,000,000 characters is no expression; it has at most {MOST_CHARACTERS:,}"
        ):
            parse(text, lambda text: True)
