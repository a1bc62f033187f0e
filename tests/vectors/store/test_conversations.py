from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectors.store.conversations import STEERED, UNSTEERED, Talks, Term, Turn, messages_for
from vectors.store.index import LibraryError

_WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=20)
_TERMS = st.builds(Term, _WORDS, st.just("v"), st.floats(-9, 9), st.sampled_from(["add", "ablate"]), st.just("last:1"))
_ANSWERS = st.dictionaries(st.sampled_from([STEERED, UNSTEERED]), _WORDS)
_ONE = st.builds(Turn, _WORDS, st.lists(_TERMS, max_size=2).map(tuple), _ANSWERS)
_TURN = st.builds(Turn, _WORDS, st.lists(_TERMS, max_size=2).map(tuple), _ANSWERS, st.lists(_ONE, max_size=2).map(tuple))


@given(st.lists(_TURN, max_size=4))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, turns: list[Turn]) -> None:
    talks = Talks(tmp_path_factory.mktemp("library"))
    talks.save("one", turns)
    assert talks.load("one") == turns


def test_listed_by_when_they_were_spoken_and_damaged_ones_left_out(tmp_path: Path) -> None:
    talks = Talks(tmp_path)
    assert talks.listed() == []
    for i, name in enumerate(("old", "new")):
        talks.save(name, [Turn(f"first of {name}"), Turn("second")])
        os.utime(tmp_path / "talks" / f"{name}.json", (i, i))
    talks.save("empty", [])
    (tmp_path / "talks" / "broken.json").write_text('[{"message": "x"}]')
    assert [(one.id, one.turns, one.message) for one in talks.listed()] == [
        ("new", 2, "first of new"),
        ("old", 2, "first of old"),
    ]
    assert [one.id for one in talks.listed(1)] == ["new"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"message": 1, "steering": [{}], "answers": {}}]', "[" * 100_000, '{"a": 1}']
)
def test_a_file_that_is_no_conversation_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "x.json").write_text(text)
    if text == "{}":  # nothing was said
        assert Talks(tmp_path).load("x") == []
        return
    with pytest.raises(LibraryError, match="no conversation") as told:
        Talks(tmp_path).load("x")
    assert "\n" not in str(told.value)
    with pytest.raises(LibraryError, match="there is no conversation"):
        Talks(tmp_path).load("../../y")


def test_escape_sequences_in_a_file_reach_nobody(tmp_path: Path) -> None:
    talks = Talks(tmp_path)
    talks.save("x", [Turn("a\x1b[2Jb", (Term("i", "n\x1b]0;t\x07", 1.0),), {STEERED: "c\x9bd"})])
    (turn,) = talks.load("x")
    assert "\x1b" not in turn.message + turn.steering[0].name
    assert turn.answers == {STEERED: "cd"}


def test_a_turn_that_one_did_not_answer_is_told_with_the_others_answer() -> None:
    turns = [Turn("a", (), {STEERED: "b", UNSTEERED: "c"}), Turn("d", (), {STEERED: "e"}), Turn("f")]
    assert [text for _, text in messages_for(UNSTEERED, turns)] == ["a", "c", "d", "e", "f", ""]


def test_two_programs_that_go_on_with_a_conversation_lose_nothing(tmp_path: Path) -> None:
    one, other = Talks(tmp_path), Talks(tmp_path)
    begun = [Turn("Hi", answers={STEERED: "Hello\r"})]
    assert one.save("x", begun) == "x"
    read = other.load("x")
    mine, theirs = [*begun, Turn("mine")], [*read, Turn("theirs")]
    assert other.save("x", theirs) == "x"
    apart = one.save("x", mine)
    assert apart != "x"
    assert one.save(apart, [*mine, Turn("and on")]) == apart
    assert other.save("x", theirs[:1]) == "x", "one that was shortened by whoever wrote it last is not another's"
    assert [[turn.message for turn in one.load(talk)] for talk in ("x", apart)] == [["Hi"], ["Hi", "mine", "and on"]]
