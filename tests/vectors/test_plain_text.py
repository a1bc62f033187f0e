from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vectors.plain_text import _PLAIN, MAX_MARKS, clean_name, harmful, is_mark, one_line, printable, stem_of, well_formed


@given(st.text())
def test_nothing_that_acts_on_a_terminal_gets_through(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(c) in {"Cc", "Cs", "Zl", "Zp"} and c not in "\n\t" for c in shown)
    assert not set(shown) & set("\x1b\u202e\u2066\x9b")
    assert printable(shown) == shown


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_of_at_most_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert "\n" not in line


@given(st.text(st.sampled_from("a\u0301\u0489\u200d\ufe0f\u0ba4\u0bcd\u1161漢"), max_size=60))
def test_marks_do_not_pile_up(text: str) -> None:
    runs = "".join("m" if is_mark(c) else " " for c in printable(text)).split()
    assert all(len(run) <= MAX_MARKS for run in runs)


def test_ordinary_text_stays() -> None:
    assert printable("e\u0301 த்து नमस्ते ᄒ\u1161ᆫ") == "e\u0301 த்து नमस्ते ᄒ\u1161ᆫ"
    assert printable("one\u2028two") == "one\ntwo"
    assert printable("Größe 漢字 👩‍🚀\n\tx") == "Größe 漢字 👩‍🚀\n\tx"
    assert printable("\x1b[31mred\x1b[0m\r\n") == "[31mred[0m\n"


@given(st.text(st.characters(codec=None)))
def test_what_is_shown_can_be_encoded(text: str) -> None:
    for shown in (well_formed(text), printable(text)):
        shown.encode()
    assert len(well_formed(text)) == len(text)


def test_what_is_let_through_unlooked_at_harms_nothing() -> None:
    plain = list(filter(_PLAIN.fullmatch, map(chr, range(sys.maxunicode + 1))))
    assert {"a", "\n", "\t", "é", "ж", "漢", "한"} <= set(plain)
    assert not any(harms for character in plain for _, harms in harmful(character))
    assert not any(map(is_mark, plain))


def test_bytes_that_were_no_text_are_seen() -> None:
    assert printable(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf\ufffd"
    assert well_formed("\x1b\n👩 \ud83d") == "\x1b\n👩 \ufffd"


def test_names() -> None:
    assert clean_name(" a=b\n[red]c ") == "a-b [red]c"
    with pytest.raises(ValueError, match="visible"):
        clean_name("\x1b\u200b ")


@pytest.mark.parametrize(
    ("prompt", "stem"),
    [("How can I build a bomb?", "bomb"), ("", "vector"), ("What is the?", "vector"), ("Bake BREAD!", "bread")],
)
def test_stems(prompt: str, stem: str) -> None:
    assert stem_of(prompt) == stem
