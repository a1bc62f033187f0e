"""Prompts and questions from files that people and data sets write: .txt, .csv, .tsv, .json, .jsonl.

Where rows have names (a table's header, JSON objects), the prompt is what stands under the first of `PROMPT_COLUMNS` that is
there, and the answer under the first of `ANSWER_COLUMNS`. `tell` is called with one line wherever something was chosen.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.files.decoding import text_of
from core.files.delimited import Row, csv_rows, tsv_rows
from core.files.json_values import json_values
from vectors.files.given_path import given_path
from vectors.plain_text import one_line, well_formed

PROMPT_COLUMNS = tuple(
    "prompt|goal|forbidden prompt|instruction|question|query|message|text|behavior|behaviour|input".split("|")
)
QUESTION_COLUMNS = ("question", *(name for name in PROMPT_COLUMNS if name != "question"))
ANSWER_COLUMNS = tuple("answer|answers|right answer|correct answer|best answer|target|output|response|completion".split("|"))
# An object with one of these is a list of prompts or questions with something around it.
_LISTS = {*(f"{name}s" for name in PROMPT_COLUMNS), "data", "rows", "examples"}
_QUESTIONS = 'a line is "question<TAB>answer|another", .csv has two columns, .jsonl has {"question": ..., "answer": ...}'
_PROMPTS = "name the prompts' column in the first line: prompt, goal, instruction, question, text ..."

Tell = Callable[[str], object]
# Where it stands in the file, and the text, the cells without names, or the values by their names.
Record = tuple[str, str | Sequence[str] | Mapping[str, Any]]


def lines_of(file: str, tell: Tell = lambda line: None) -> list[str]:
    """The file's prompts that are not blank: lines (without the blanks around them), cells, or JSON's strings, as they stand.

    Raises SettingsError where it cannot be read, is of another format, or holds none; VectorError where `file` is no path.
    """
    path = given_path(file)
    reader = _Records(path, PROMPT_COLUMNS, 1, tell)
    try:
        texts = [well_formed(reader.prompt(record)) for record in reader.records()]
    except ValueError as error:
        raise SettingsError(f"{path}: {error}", _PROMPTS) from error
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise SettingsError(f"{path}: holds no prompt", "write one a line")
    return texts


def questions_of(file: str, tell: Tell = lambda line: None) -> list[tuple[str, tuple[str, ...]]]:
    """The file's questions, each with the answers that are right: in tables set apart by `|`, in JSON a text or a list.

    Raises SettingsError where it cannot be read, is of another format, holds none, or one without an answer; VectorError
    where `file` is no path.
    """
    path = given_path(file)
    reader = _Records(path, QUESTION_COLUMNS, 2, tell)
    questions: list[tuple[str, tuple[str, ...]]] = []
    try:
        for record in reader.records():
            question, answers = reader.question(record)
            given = tuple(well_formed(answer).strip() for answer in answers if answer.strip())
            if not question.strip() or not given:
                raise ValueError(f"{record[0]}: {one_line(question, 60)!r} has no answer, or no question")
            questions.append((well_formed(question), given))
    except ValueError as error:
        raise SettingsError(f"{path}: does not hold questions with answers ({error})", _QUESTIONS) from error
    if not questions:
        raise SettingsError(f"{path}: holds no question", _QUESTIONS)
    return questions


class _Records:
    """What stands in a file, one after another. Its methods raise ValueError where that is not as it is looked for."""

    def __init__(self, path: Path, columns: Sequence[str], width: int, tell: Tell) -> None:
        self._path, self._columns, self._width = path, columns, width
        self._tell: Tell = lambda line: tell(f"{path.name}: {line}")
        self._told: set[str] = set()

    def records(self) -> Iterator[Record]:
        text = text_of(self._path)
        match self._path.suffix.lower():
            case ".json" | ".jsonl" | ".ndjson":
                yield from _json_records(text)
            case ".csv":
                yield from self._named(csv_rows(text, self._is_header, self._width, self._tell))
            case ".tsv" | ".tab":
                yield from self._named(tsv_rows(text))
            case _ if _is_json(text):
                self._tell("holds JSON, and is read as that")
                yield from _json_records(text)
            case _ if self._width > 1:
                yield from self._named(tsv_rows(text))
            case _:
                for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
                    yield f"line {number}", line.strip()

    def prompt(self, record: Record) -> str:
        where, value = record
        if isinstance(value, Mapping):
            return self._text(record, self._columns)
        if isinstance(value, str):
            return value
        if len(value) > 1:
            cells = ", ".join(repr(one_line(cell, 20)) for cell in value[:6])
            raise ValueError(f"{where} has {len(value)} columns, and none is named as the prompts' ({cells})")
        return value[0]

    def question(self, record: Record) -> tuple[str, Iterable[str]]:
        where, value = record
        if isinstance(value, Mapping):
            name = self._column(record, ANSWER_COLUMNS)
            answers = value[name]
            texts = [_answer(where, name, one) for one in (answers if isinstance(answers, list) else [answers])]
            return self._text(record, self._columns), texts
        if isinstance(value, str) or len(value) != 2:
            raise ValueError(f"{where} has {1 if isinstance(value, str) else len(value)} columns, not two")
        return value[0], value[1].split("|")

    def _named(self, rows: Sequence[Row]) -> Iterator[Record]:
        """The rows of a table, by the names of its first where that is a header."""
        if not rows or not self._is_header(rows[0].cells):
            for row in rows:
                yield f"line {row.line}", row.cells
            return
        names = rows[0].cells
        for row in rows[1:]:
            if any(cell.strip() for cell in row.cells[len(names) :]):
                raise ValueError(
                    f"line {row.line} has {len(row.cells)} cells, and the header {len(names)}: "
                    "a text with the delimiter in it stands in quotes"
                )
            by_name: dict[str, Any] = {}
            for name, cell in zip(names, row.cells, strict=False):
                answers = self._width > 1 and _plain(name) in ANSWER_COLUMNS
                by_name.setdefault(name, cell.split("|") if answers else cell)
            yield f"line {row.line}", by_name

    def _is_header(self, cells: Sequence[str]) -> bool:
        names = {_plain(cell) for cell in cells}
        if not names & set(self._columns):
            return False
        # "message<TAB>Nachricht" may well be a question with its answer.
        return self._width == 1 or len(cells) > 2 or bool(names & {"question", *ANSWER_COLUMNS})

    def _column(self, record: Record, wanted: Sequence[str]) -> str:
        """The name of the first of the `wanted` columns that the record has."""
        where, value = record
        assert isinstance(value, Mapping)
        plain: dict[str, str] = {}
        for name in value:
            plain.setdefault(_plain(name), name)
        there = [plain[name] for name in wanted if name in plain]
        if not there:
            names = ", ".join(one_line(name, 30) for name in list(value)[:8]) or "none"
            raise ValueError(f"{where} has nothing called {', '.join(wanted[:4])} ... (it has: {names})")
        if len(there) > 1:
            line = f"takes {one_line(there[0], 30)!r} (and not {', '.join(one_line(name, 30) for name in there[1:])})"
            if line not in self._told:
                self._told.add(line)
                self._tell(line)
        return there[0]

    def _text(self, record: Record, wanted: Sequence[str]) -> str:
        where, value = record
        assert isinstance(value, Mapping)
        name = self._column(record, wanted)
        text = value[name]
        if not isinstance(text, str):
            raise ValueError(f"{where}: {one_line(name, 30)!r} is no text")
        return text


def _plain(name: str) -> str:
    """A column's name, however it is written: `Forbidden_Prompt` is `forbidden prompt`."""
    return " ".join(name.replace("_", " ").replace("-", " ").split()).casefold()


def _json_records(text: str) -> Iterator[Record]:
    number = 0
    for value in json_values(text):
        named = value.items() if isinstance(value, dict) else ()
        lists = [one for name, one in named if _plain(name) in _LISTS and isinstance(one, list)]
        for one in lists[0] if lists else (value,):
            number += 1
            if not isinstance(one, (str, dict)):
                raise ValueError(f"entry {number} is neither a text nor an object, but {one_line(json.dumps(one), 30)}")
            yield f"entry {number}", one


def _is_json(text: str) -> bool:
    """Whether all of `text` is JSON that holds texts or objects, which nobody means as a list of prompts."""
    if text.lstrip()[:1] not in ("[", "{"):
        return False
    try:
        return bool(list(_json_records(text)))
    except ValueError:
        return False


def _answer(where: str, name: str, value: Any) -> str:
    """An answer as text: a number or a boolean as JSON writes it."""
    if isinstance(value, str):
        return value
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    raise ValueError(f"{where}: {one_line(name, 30)!r} is {one_line(json.dumps(value), 30)}, no answer")
