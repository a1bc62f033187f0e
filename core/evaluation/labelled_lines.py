"""Completions from a file of JSON lines, {"prompt", "text"} each, with a reader's labels where it has any."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import SettingsError
from core.files.decoding import MAX_BYTES, text_in, text_of
from core.model.thoughts import answer_in
from vectors.annotation import Annotation
from vectors.completion import Completion
from vectors.errors import VectorError
from vectors.files.given_path import given_path
from vectors.files.strict_json import loads
from vectors.plain_text import one_line

STANDARD_INPUT = "-"
_LONGEST = 4 << 20  # characters of a line
_NEEDED = ("prompt", "text")
_REMEDY = 'a line is {"prompt": "...", "text": "..."}'


@dataclass(frozen=True)
class LabelledLine:
    """The line `number` (from 1) of the file: `data` as it stands, what was completed, the completion, its labels."""

    number: int
    data: Mapping[str, Any]
    prompt: str
    completion: Completion
    label: Annotation | None


def labelled_lines(file: str) -> list[LabelledLine]:
    """The lines of `file`, or of the standard input for `-`, that are not blank.

    Raises SettingsError, naming the line, where it cannot be read, holds none, or one that is no completion; VectorError where
    `file` is no path.
    """
    if file == STANDARD_INPUT:
        shown, text = "standard input", text_in(sys.stdin.buffer.read(MAX_BYTES + 1), "standard input")
    else:
        path = given_path(file)
        shown, text = str(path), text_of(path)
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                found.append(_read(number, line))
            except (ValueError, VectorError) as error:
                raise SettingsError(f"{one_line(shown, 120)}: line {number} {_wrong(error)}", _REMEDY) from error
    if not found:
        raise SettingsError(f"{one_line(shown, 120)}: holds no completion", _REMEDY)
    return found


def _read(number: int, line: str) -> LabelledLine:
    if len(line) > _LONGEST:
        raise ValueError(f"has {len(line):,} characters, and may have {_LONGEST:,}")
    try:
        data = loads(line)
    except ValueError as error:
        raise ValueError(f"is no JSON ({error})") from error
    if not isinstance(data, dict):
        raise ValueError("is no JSON object")
    for name in _NEEDED:
        if not isinstance(data.get(name), str):
            raise ValueError(f"has no {name!r} that is a text")
    # A perplexity, where there is one, counts toward what is broken, as everywhere.
    answer = answer_in(data["text"])  # which may stand behind a thought
    thought = "" if answer == data["text"] else data["text"]
    told = {"text": answer, "thought": thought, "perplexity": data.get("perplexity")}
    completion = Completion.from_json(told)
    return LabelledLine(number, data, data["prompt"], completion, Annotation.from_line(data))


def _wrong(error: Exception) -> str:
    """What is wrong with a line, behind its number."""
    text = one_line(str(error), 160)
    return f"is not right: {text}" if isinstance(error, VectorError) else text
