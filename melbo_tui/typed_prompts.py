"""Prompts as they are typed into the app: as they stand, or as a file of them."""

from __future__ import annotations

import re
from collections.abc import Callable

from core.errors import SettingsError
from vectors.files.given_path import given_path
from vectors.plain_text import one_line
from vectors.vector import VectorError

FILES = "a .txt file of one a line, or .csv, .tsv, .json, .jsonl"
# What nobody means as a prompt.
_LIKE_A_PATH = re.compile(r"(/|~/|\./|\.\./)\S*|\S+\.(txt|tsv|csv|json|jsonl|ndjson|md|pdf|xlsx|docx|yaml|parquet|safetensors)")


def typed_prompts(text: str, tell: Callable[[str], object] = lambda line: None) -> list[str]:
    """The prompts that the lines of `text` are or, where a line names a file, that the file holds.

    `tell` is called with a line about how a file was read. Raises SettingsError for a file that cannot be read or is not there.
    """
    from core.files.text_files import lines_of

    prompts: list[str] = []
    for line in (line.strip() for line in text.split("\n")):
        if _is_file(line):
            prompts += lines_of(line, tell)
        elif _LIKE_A_PATH.fullmatch(line):
            raise SettingsError(f"there is no such file: {one_line(line, 60)}")
        elif line:
            prompts.append(line)
    return prompts


def _is_file(text: str) -> bool:
    try:
        return 0 < len(text) < 400 and given_path(text).is_file()
    except VectorError:
        return False
