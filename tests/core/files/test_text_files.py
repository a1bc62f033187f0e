"""Prompt and question files, by their formats' own rules."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import SettingsError
from core.files.text_files import ANSWER_COLUMNS, PROMPT_COLUMNS, lines_of, questions_of
from core.prompt import Prompt

# What a cell or a string may hold; a NUL makes a file a binary one.
_TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1).filter(str.strip)
_PROMPTS = st.lists(_TEXTS.filter(lambda text: text.casefold().strip() not in PROMPT_COLUMNS), min_size=1, max_size=5)
_ANSWERS = _TEXTS.filter(lambda text: "|" not in text)
_SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)


def _file(folder: Path, name: str, data: str | bytes) -> str:
    (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode("utf-8", "surrogatepass"))
    return str(folder / name)


def _written(rows: list[tuple[str, ...]], **how: Any) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, **how).writerows(rows)
    return out.getvalue()


def test_lines(tmp_path: Path) -> None:
    assert lines_of(_file(tmp_path, "p.txt", "\ufeffHow?\n\n  Why? \r\nWhat\rAnd\n")) == ["How?", "Why?", "What", "And"]
    odd = "Translate: a\u2028b\u0085c\x0cd\x1ce"
    assert lines_of(_file(tmp_path, "q.txt", f"{odd}\nNext\n")) == [odd, "Next"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize(("name", "text"), [("p.txt", "Größe?\nNext\n"), ("p.csv", "goal,target\r\nGröße?,x\r\nNext,y\r\n")])
def test_a_byte_order_mark_names_the_encoding(tmp_path: Path, encoding: str, name: str, text: str) -> None:
    assert lines_of(_file(tmp_path, name, text.encode(encoding))) == ["Größe?", "Next"]


@_SAME_FOLDER
@given(prompts=_PROMPTS, targets=st.lists(_TEXTS, min_size=5, max_size=5), delimiter=st.sampled_from(",;\t"))
def test_what_a_csv_writer_writes_is_read_back(tmp_path: Path, prompts: list[str], targets: list[str], delimiter: str) -> None:
    rows = [("goal", "target"), *zip(prompts, targets, strict=False)]
    assert lines_of(_file(tmp_path, "p.csv", _written(rows, delimiter=delimiter))) == prompts
    alone = _written([(prompt,) for prompt in prompts])
    assert lines_of(_file(tmp_path, "alone.csv", alone)) == prompts
    assert lines_of(_file(tmp_path, "all.csv", _written(rows, quoting=csv.QUOTE_ALL, lineterminator="\n"))) == prompts


@_SAME_FOLDER
@given(questions=_PROMPTS, answers=st.lists(_ANSWERS, min_size=5, max_size=5), kind=st.sampled_from(["csv", "tsv"]))
def test_questions_written_as_tables_are_read_back(tmp_path: Path, questions: list[str], answers: list[str], kind: str) -> None:
    pairs = list(zip(questions, answers, strict=False))
    text = _written([("question", "answer"), *pairs], delimiter="," if kind == "csv" else "\t")
    assert questions_of(_file(tmp_path, f"q.{kind}", text)) == [(q, (a.strip(),)) for q, a in pairs]


@_SAME_FOLDER
@given(prompts=_PROMPTS, ascii=st.booleans(), indent=st.sampled_from([None, 2]))
def test_what_json_writes_is_read_back(tmp_path: Path, prompts: list[str], ascii: bool, indent: int | None) -> None:
    objects = [{"category": None, "prompt": prompt} for prompt in prompts]
    how: dict[str, Any] = {"ensure_ascii": ascii, "indent": indent}
    for data in (prompts, objects, {"prompts": prompts}, {"about": "x", "data": objects}):
        assert lines_of(_file(tmp_path, "p.json", json.dumps(data, **how))) == prompts
    for rows in (prompts, objects):
        assert lines_of(_file(tmp_path, "p.jsonl", "\n".join(json.dumps(row, ensure_ascii=ascii) for row in rows))) == prompts
    asked = [{"question": prompt, "answer": [prompt, 4, True]} for prompt in prompts]
    expected = [(prompt, (prompt.strip(), "4", "true")) for prompt in prompts]
    assert questions_of(_file(tmp_path, "q.json", json.dumps(asked, **how))) == expected


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("p.csv", 'Goal,Target\n"Write a poem, please",Sure\n', ["Write a poem, please"]),
        ("p.csv", "id;Forbidden_Prompt\r\n1;Hello, you\r\n", ["Hello, you"]),
        ("p.csv", "sep=;\r\nprompt;x\r\nA, b;c\r\n", ["A, b"]),
        ("p.csv", "How?\n\nWhy;?\n", ["How?", "Why;?"]),
        ("p.csv", "goal,target\nA,b\nC\n,\nD,e,\n", ["A", "C", "D"]),
        ("p.tsv", 'prompt\tid\n"Hello" she said\t1\n', ['"Hello" she said']),
        ("p.tsv", 'prompt\tid\n"one\ntwo"\t1\n', ["one\ntwo"]),
        ("p", '["A", "B"]', ["A", "B"]),
        ("p.txt", '{"prompt": "A"}\n{"prompt": "B"}\n', ["A", "B"]),
        ("p.txt", "[INST] A [/INST]\n{b}\n[1, 2]", ["[INST] A [/INST]", "{b}", "[1, 2]"]),
        ("p.json", '{"prompt": "half of a pair: \\ud83d"}', ["half of a pair: \ufffd"]),
    ],
)
def test_prompts(tmp_path: Path, name: str, text: str, expected: list[str]) -> None:
    assert lines_of(_file(tmp_path, name, text)) == expected


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("q.tsv", "Big?\tsmall|little\n\nTwo?\t2\n"),
        ("q.txt", "Big?\tsmall| little\nTwo?\t2"),
        ("q.csv", 'Big?,small|little\n"Two?",2\n'),
        ("q.csv", "Big?;small|little\r\nTwo?;2\r\n"),
        ("q.csv", "Category,Question,Best Answer\nx,Big?,small|little\ny,Two?,2\n"),
        ("q.txt", "question\tanswer\nBig?\tsmall|little\nTwo?\t2\n"),
        ("q.jsonl", '{"question": "Big?", "answer": ["small", "little"]}\n{"question": "Two?", "answer": 2}\n'),
        ("q.json", '{"questions": [{"question": "Big?", "answers": ["small", "little"]}, {"prompt": "Two?", "target": "2"}]}'),
    ],
)
def test_questions(tmp_path: Path, name: str, text: str) -> None:
    assert questions_of(_file(tmp_path, name, text)) == [("Big?", ("small", "little")), ("Two?", ("2",))]


def test_quotes_in_tab_separated_text_are_text(tmp_path: Path) -> None:
    lines = ['"To be": who wrote it?\tShakespeare', '"Et tu"\tCaesar', '"Hello, how is it spelt?\tH', 'a "b"\t"c"']
    expected = [(question, (answer,)) for question, answer in (line.split("\t") for line in lines)]
    assert questions_of(_file(tmp_path, "q.tsv", "\n".join(lines))) == expected


def test_a_decimal_comma_is_no_delimiter(tmp_path: Path) -> None:
    assert questions_of(_file(tmp_path, "q.csv", "1,5+1,5?;3\nTwo?;2\n")) == [("1,5+1,5?", ("3",)), ("Two?", ("2",))]


def test_what_was_chosen_is_told(tmp_path: Path) -> None:
    told: list[str] = []
    text = "Index,Behavior,Goal\n1,Phishing,Write a mail\n2,Phishing,Write two\n"
    assert lines_of(_file(tmp_path, "p.csv", text), told.append) == ["Write a mail", "Write two"]
    assert told == ["p.csv: takes 'Goal' (and not Behavior)"]
    told.clear()
    questions_of(_file(tmp_path, "q.csv", "a,b;c\n"), told.append)
    assert told == ["q.csv: its columns are read as set apart by commas; semicolons would do as well"]
    told.clear()
    lines_of(_file(tmp_path, "p.txt", '["A"]'), told.append)
    assert told == ["p.txt: holds JSON, and is read as that"]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("q.tsv", "no answer\n", "line 1 has 1 columns, not two"),
        ("q.tsv", "q\t\n", "has no answer"),
        ("q.tsv", "", "holds no question"),
        ("q.tsv", b"\xff\xfe\x00", "UTF-16"),
        ("q.tsv", "\tanswer\n", "or no question"),
        ("q.csv", "alone\n", "1 columns"),
        ("q.csv", "What, if not, this?,that\n", "4 columns"),
        ("q.csv", "question,solution\nBig?,small\n", "nothing called answer"),
        ("q.csv", 'Big?,"small\n', "in the row of line 1"),
        ("q.jsonl", "[1]\n", "entry 1 is neither"),
        ("q.jsonl", "{", "line 1 is no JSON"),
        ("q.jsonl", '{"question": "x", "answer": "y"}\nno\n', "line 2 is no JSON"),
        ("q.jsonl", '{"question": "x"}', "nothing called answer"),
        ("q.jsonl", '{"question": "x", "answer": null}', "null, no answer"),
        ("q.jsonl", '{"question": "x", "answer": ["y", null]}', "null, no answer"),
        ("q.jsonl", '{"question": "x", "answer": {}}', "no answer"),
        ("q.jsonl", '{"question": 1, "answer": "x"}', "'question' is no text"),
        ("q.jsonl", "9" * 5000, "line 1"),
        ("q.jsonl", "[" * 100_000, "line 1"),
    ],
)
def test_what_holds_no_questions(tmp_path: Path, name: str, data: str | bytes, told: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        questions_of(_file(tmp_path, name, data))
    assert told in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("p.csv", "a,b\nc,d\n", "none is named as the prompts'"),
        ("p.csv", "prompt\nWrite a poem, please\n", "line 2 has 2 cells, and the header 1"),
        ("p.csv", "How?\nWrite a poem, please\n", "line 2 has 2 columns"),
        ("p.csv", "goal,target\nWrite a poem, please,Sure\n", "line 2 has 3 cells, and the header 2"),
        ("p.json", '{"harmful": ["A"]}', "it has: harmful"),
        ("p.json", "[1, 2]", "entry 1 is neither"),
        ("p.jsonl", '{"prompt": [{"role": "user"}]}', "'prompt' is no text"),
        ("p.txt", " \n\n", "holds no prompt"),
        ("p.csv", "prompt,target\n,Sure\n", "holds no prompt"),
    ],
)
def test_what_holds_no_prompts(tmp_path: Path, name: str, data: str, told: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        lines_of(_file(tmp_path, name, data))
    assert told in str(raised.value)


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


@pytest.mark.parametrize("read", [lines_of, questions_of])
@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("p.pdf", b"%PDF-1.7\n", "is a PDF file"),
        ("p.csv", b"PK\x03\x04\x14\0", "is a zip archive"),
        ("p.txt", b"PAR1\x15\0", "is a Parquet file"),
        ("p.npy", _npy(), "is a NumPy file"),
        ("p.safetensors", b"\x40\0\0\0\0\0\0\0" + b'{"vectors": {"dtype": "F32"}}' + b"\0\0\x80\x3f" * 9, "is a binary file"),
        ("harmful.csv", b"\n<!DOCTYPE html>\n<html>", "is a web page"),
        ("p.yaml", b"- How?\n", "is a YAML file"),
        ("p.csv", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        ("p.txt", "How?\nWhy?\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("p.txt", b"How?\ncaf\xe9\n", "no text in UTF-8 (byte 0xE9 in line 2)"),
        ("p.txt", b"How\0Why", "is a binary file"),
    ],
)
def test_files_of_another_format_are_refused(tmp_path: Path, read: Any, name: str, data: bytes, told: str) -> None:
    with pytest.raises(SettingsError, match=name) as raised:
        read(_file(tmp_path, name, data))
    assert told in str(raised.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for missing in (tmp_path / "none.txt", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            lines_of(str(missing))
    huge = tmp_path / "huge.txt"
    with huge.open("wb") as out:
        out.truncate(65 << 20)
    for endless in (huge, Path("/dev/zero")):
        with pytest.raises(SettingsError, match="larger"):
            lines_of(str(endless))


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("How?\nWhy?\n"))
    writer.start()
    assert lines_of(str(pipe)) == ["How?", "Why?"]
    writer.join()


def test_a_large_file_takes_no_time(tmp_path: Path) -> None:
    rows = "\n".join(json.dumps({"prompt": f"number {n}"}) for n in range(100_000))
    assert len(lines_of(_file(tmp_path, "many.jsonl", rows))) == 100_000


@pytest.mark.parametrize("prompt", [{"text": "caf\udce9"}, {"text": "x", "system": "\ud800"}])
def test_a_prompt_is_text(prompt: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="bytes that are no text"):
        Prompt(**prompt)


def test_the_names_of_columns_are_plain() -> None:
    assert all(name == name.casefold() and "_" not in name for name in (*PROMPT_COLUMNS, *ANSWER_COLUMNS))
