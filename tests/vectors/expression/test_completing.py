"""What is offered while somebody types."""

from __future__ import annotations

import pytest

from vectors.expression import Replacement, completed_texts, completions

NAMES = ["bomb-03", "Bomb-08", "calm", "avg(a, b)", "5", 'say "hi"', "20261126-2355-a2/3"]
TOKENS = ["all", "prompt", "generated", "first:", "after:", "last:", "at:"]
BLOCKS, HOW, GATE = ["blocks:all", "blocks:"], ["add", "keep-norm", "set"], ["when:"]


def offered(text: str) -> list[str]:
    return [one.text for one in completions(text, len(text), NAMES)]


ALL_NAMES = ["bomb-03", "Bomb-08", "calm", '"avg(a, b)"', '"5"', '"say ""hi"""', "20261126-2355-a2/3"]


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("", ALL_NAMES),
        ("-", ALL_NAMES),
        ("2 ", ALL_NAMES),
        ("calm + ", ALL_NAMES),
        ("calm@set - 0.5 !", ALL_NAMES),
        ("calm@when:", ALL_NAMES),
        ("bo", ["bomb-03", "Bomb-08"]),
        ("BOMB-0", ["bomb-03", "Bomb-08"]),
        ("-1.5 !bomb-03", ["bomb-03"]),
        ("202", ["20261126-2355-a2/3"]),
        ("a", ['"avg(a, b)"']),
        ('"', ALL_NAMES),
        ('"av', ['"avg(a, b)"']),
        ('"say "', []),
        ('"say ""h', ['"say ""hi"""']),
        ("avg(a, ", ['"avg(a, b)"']),
        ('say "h', ['"say ""hi"""']),
        ("calm@when:c", ["calm"]),
        ('calm@when:"av', ['"avg(a, b)"']),
        ("calm@", TOKENS + BLOCKS + HOW + GATE),
        ("calm@a", ["all", "after:", "at:", "add"]),
        ("calm@all@", BLOCKS + HOW + GATE),
        ("calm=2@from:3@", BLOCKS + HOW + GATE),
        ("!calm@", TOKENS + BLOCKS + GATE),
        ("0.5 !calm@blocks:", ["blocks:all"]),
        ("calm@set@blocks:all@", TOKENS + GATE),
        ('"a@all"@when:"b@set">1@', TOKENS + BLOCKS + HOW),
        ("calm@set + bomb-03@s", ["set"]),
        ("calm@nothing", []),
        ("calm@first:", []),
        ("calm@first:3", []),
        ("@", []),
        ("5@", []),
        ("calm=", []),
        ("calm=2", []),
        ("calm ", []),
        ("calm -", []),
        ("calm@when:calm>", []),
        ("calm@when:calm>1", []),
        ("a b c", []),
        ("(", []),
    ],
)
def test_what_could_stand_at_the_end(text: str, texts: list[str]) -> None:
    assert offered(text) == texts


def test_what_stands_right_of_the_cursor_stays() -> None:
    text = "2 bo@set + calm"
    assert completions(text, 4, NAMES) == [Replacement(2, 4, "bomb-03"), Replacement(2, 4, "Bomb-08")]
    assert completions(text, 4, NAMES)[0].applied(text) == "2 bomb-03@set + calm"


def test_nothing_is_offered_behind_what_nobody_types() -> None:
    assert completions("calm + " * 2000, 14_000, NAMES)
    assert completions("calm + " * 100_000, 700_000, NAMES) == []


def test_a_shell_is_given_whole_texts() -> None:
    assert completed_texts("2 calm@gen", NAMES) == ["2 calm@generated"]
    assert completed_texts("calm - bomb", NAMES) == ["calm - bomb-03", "calm - Bomb-08"]
    assert completed_texts("bomb", NAMES) == ["bomb-03", "Bomb-08"]
