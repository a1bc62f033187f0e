from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import SettingsError
from core.text_files import lines_of, questions_of


def test_lines(tmp_path: Path) -> None:
    file = tmp_path / "prompts.txt"
    file.write_text("\ufeffHow?\n\n  Why? \r\nWhat\n", encoding="utf-8")
    assert lines_of(str(file)) == ["How?", "Why?", "What"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.tsv", "Big?\tsmall|little\n\nTwo?\t2\n"),
        ("q.txt", "Big?\tsmall| little\nTwo?\t2"),
        ("q.csv", 'Big?,small|little\n"Two?",2\n'),
        ("q.jsonl", '{"question": "Big?", "answer": ["small", "little"]}\n{"question": "Two?", "answer": 2}\n'),
    ],
)
def test_questions(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert questions_of(str(tmp_path / name)) == [("Big?", ("small", "little")), ("Two?", ("2",))]


@pytest.mark.parametrize(
    ("name", "data"),
    [("q.tsv", b"no answer\n"), ("q.tsv", b"q\t\n"), ("q.tsv", b""), ("q.tsv", b"\xff\xfe\x00"), ("q.jsonl", b"[1]\n"),
     ("q.jsonl", b"{"),
     ("q.jsonl", b'{"question": "x"}'), ("q.csv", b"alone\n"), ("q.tsv", b"\tanswer\n")],
)  # fmt: skip
def test_what_holds_no_questions(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SettingsError, match=name):
        questions_of(str(tmp_path / name))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            lines_of(str(missing))
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as out:
        out.truncate(65 << 20)
    with pytest.raises(SettingsError, match="larger"):
        lines_of(str(huge))
