"""Prompts and questions from text files that people write."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from vectors.given_path import given_path
from vectors.plain_text import one_line, printable

_MAX_BYTES = 64 << 20
_FORM = 'a line is "question<TAB>answer|another", .csv has two columns, .jsonl has {"question": ..., "answer": ...}'


def lines_of(file: str) -> list[str]:
    """The file's lines that are not empty. Raises SettingsError where it cannot be read."""
    return [line.strip() for line in _read(given_path(file)).splitlines() if line.strip()]


def questions_of(file: str) -> list[tuple[str, tuple[str, ...]]]:
    """The file's questions, each with the answers that are right, several set apart by `|`. Raises SettingsError."""
    path = given_path(file)
    lines = [line for line in _read(path).splitlines() if line.strip()]
    try:
        if path.suffix.lower() in (".jsonl", ".ndjson"):
            pairs = [_from_json(json.loads(line)) for line in lines]
        else:
            rows = list(csv.reader(lines, delimiter="," if path.suffix.lower() == ".csv" else "\t"))
            pairs = [(row[0], tuple(row[1].split("|"))) for row in rows]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError, csv.Error) as error:
        raise SettingsError(f"{path}: does not hold questions with answers", _FORM) from error
    found = [(printable(q).strip(), tuple(a.strip() for a in answers if a.strip())) for q, answers in pairs]
    incomplete = [question for question, answers in found if not question or not answers]
    if incomplete:
        raise SettingsError(f"{path}: {one_line(incomplete[0], 60)!r} has no answer, or no question", _FORM)
    if not found:
        raise SettingsError(f"{path}: holds no question", _FORM)
    return found


def _from_json(row: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    answers = row["answer"]
    return str(row["question"]), tuple(map(str, answers)) if isinstance(answers, list) else (str(answers),)


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SettingsError(f"{path}: is larger than {_MAX_BYTES >> 20} MiB", "take a part of it")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror or error})") from error
    except UnicodeError as error:
        raise SettingsError(f"{path}: is no text in UTF-8", "save it as that") from error
