from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectors.completion import END, LENGTH, UNTOLD, Completion
from vectors.expression import KeptTerm
from vectors.store.conversations import STEERED, UNSTEERED, Conversations, Turn, messages_for
from vectors.store.index import LibraryError

_WORDS = st.text(st.characters(categories=["L", "N", "P", "Zs"]), max_size=20)
_TERMS = st.builds(KeptTerm, _WORDS, st.just("v"), st.floats(-9, 9), st.sampled_from(["add", "ablate"]), st.just("last:1"))
_NUMBERS = st.none() | st.floats(0, 1e9)
_COMPLETIONS = st.builds(
    Completion, _WORDS, _WORDS, st.just((1, 2)), st.integers(0, 9), st.integers(0, 9), st.just((0.5,)), _NUMBERS, _NUMBERS,
    st.sampled_from(["", END, LENGTH, UNTOLD]),
)  # fmt: skip
_ANSWERS = st.dictionaries(st.sampled_from([STEERED, UNSTEERED]), _COMPLETIONS)
_ONE = st.builds(Turn, _WORDS, st.lists(_TERMS, max_size=2).map(tuple), _ANSWERS)
_TURN = st.builds(Turn, _WORDS, st.lists(_TERMS, max_size=2).map(tuple), _ANSWERS, st.lists(_ONE, max_size=2).map(tuple))


@given(st.lists(_TURN, max_size=4))
def test_what_is_kept_comes_back(tmp_path_factory: pytest.TempPathFactory, turns: list[Turn]) -> None:
    conversations = Conversations(tmp_path_factory.mktemp("library"))
    conversations.save("one", turns)
    assert conversations.load("one") == turns


def test_listed_by_when_they_were_changed_and_damaged_ones_left_out(tmp_path: Path) -> None:
    conversations = Conversations(tmp_path)
    assert conversations.listed() == []
    for i, name in enumerate(("old", "new")):
        conversations.save(name, [Turn(f"first of {name}"), Turn("second")])
        os.utime(tmp_path / "talks" / f"{name}.json", (i, i))
    conversations.save("empty", [])
    (tmp_path / "talks" / "broken.json").write_text('[{"message": "x"}]')
    assert [(one.id, one.turns, one.message) for one in conversations.listed()] == [
        ("new", 2, "first of new"),
        ("old", 2, "first of old"),
    ]
    assert [one.id for one in conversations.listed(1)] == ["new"]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '[{"message": 1, "steering": [{}], "answers": {}}]', "[" * 100_000, '{"a": 1}']
)
def test_a_file_that_is_no_conversation_is_told_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "talks").mkdir()
    (tmp_path / "talks" / "x.json").write_text(text)
    if text == "{}":  # nothing was said
        assert Conversations(tmp_path).load("x") == []
        return
    with pytest.raises(LibraryError, match="no conversation") as told:
        Conversations(tmp_path).load("x")
    assert "\n" not in str(told.value)
    with pytest.raises(LibraryError, match="there is no conversation"):
        Conversations(tmp_path).load("../../y")


def test_escape_sequences_in_a_file_reach_nobody(tmp_path: Path) -> None:
    conversations = Conversations(tmp_path)
    conversations.save("x", [Turn("a\x1b[2Jb", (KeptTerm("i", "n\x1b]0;t\x07", 1.0),), {STEERED: Completion("c\x9bd")})])
    (turn,) = conversations.load("x")
    assert "\x1b" not in turn.message + turn.steering[0].name
    assert turn.completions[STEERED].text == "cd"


def test_a_turn_that_one_did_not_answer_is_told_with_the_others_answer() -> None:
    turns = [
        Turn("a", (), {STEERED: Completion("b"), UNSTEERED: Completion("c")}),
        Turn("d", (), {STEERED: Completion("e")}),
        Turn("f"),
    ]
    assert [text for _, text in messages_for(UNSTEERED, turns)] == ["a", "c", "d", "e", "f", ""]


def test_two_programs_that_go_on_with_a_conversation_lose_nothing(tmp_path: Path) -> None:
    one, other = Conversations(tmp_path), Conversations(tmp_path)
    begun = [Turn("Hi", completions={STEERED: Completion("Hello\r")})]
    assert one.save("x", begun) == "x"
    read = other.load("x")
    mine, theirs = [*begun, Turn("mine")], [*read, Turn("theirs")]
    assert other.save("x", theirs) == "x"
    apart = one.save("x", mine)
    assert apart != "x"
    assert one.save(apart, [*mine, Turn("and on")]) == apart
    assert other.save("x", theirs[:1]) == "x", "one that was shortened by whoever wrote it last is not another's"
    assert [[turn.message for turn in one.load(talk)] for talk in ("x", apart)] == [["Hi"], ["Hi", "mine", "and on"]]


def test_a_conversation_of_an_earlier_version_has_its_texts_and_thoughts(tmp_path: Path) -> None:
    (tmp_path / "talks").mkdir()
    earlier = {"message": "Hi", "steering": [], "answers": {STEERED: "before"}}
    turn = {"message": "Hi", "steering": [], "answers": {STEERED: "now"}, "thoughts": {STEERED: "Hm."}, "earlier": [earlier]}
    (tmp_path / "talks" / "x.json").write_text(json.dumps([turn]))
    conversations = Conversations(tmp_path)
    turns = conversations.load("x")
    assert turns[0].completions == {STEERED: Completion("now", "Hm.", stop=UNTOLD)}
    assert turns[0].earlier[0].completions == {STEERED: Completion("before", stop=UNTOLD)}
    assert conversations.save("x", [*turns, Turn("more")]) == "x", "it is the same conversation still"
    assert conversations.load("x") == [*turns, Turn("more")]
