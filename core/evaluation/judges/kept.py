"""What judges have answered, kept in the user's cache: nothing is asked twice, and a judging that ended early goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import Any

from filelock import FileLock, Timeout

from core.errors import MelboError
from core.evaluation.judges.judge import Judge, Question
from core.model.store import cache_folder
from vectors.annotation import Annotation
from vectors.errors import VectorError
from vectors.files import disk
from vectors.files.atomic import write_atomically
from vectors.files.regular_files import read_regular
from vectors.files.strict_json import dumps, loads

_MOST_BYTES = 64 << 20
_MOST = 200_000  # answers of one judge; the oldest go first
_PATIENCE = 5.0  # seconds, for another program that writes


class KeptAnswers:
    """A judge's labels by question, in a file of its own; a damaged file, or a damaged entry, is passed over."""

    def __init__(self, judge: Judge) -> None:
        self._by = judge.name
        self._path = cache_folder() / "judges" / f"{sha256(judge.identity.encode()).hexdigest()[:32]}.json"
        self._lines = self._read()
        self._fresh: dict[str, dict[str, str]] = {}
        self._forgotten: set[str] = set()

    def get(self, question: Question) -> Annotation | None:
        line = self._fresh.get(_key(question)) or self._lines.get(_key(question))
        if isinstance(line, Mapping):
            with suppress(VectorError):
                return Annotation.from_line(line, self._by)
        return None

    def put(self, question: Question, annotation: Annotation) -> None:
        self._fresh[_key(question)] = annotation.to_line()

    def forget(self, questions: Iterable[Question]) -> None:
        """Forgets the answers to them, from the file too when it is next saved."""
        self._forgotten |= set(map(_key, questions))
        for key in self._forgotten:
            self._fresh.pop(key, None)
            self._lines.pop(key, None)

    def save(self) -> MelboError | None:
        """Adds what was put to the file, whoever else has added to it meanwhile; gives what keeps it from being written."""
        if not self._fresh and not self._forgotten:
            return None
        folder = self._path.parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self._path.with_name(f".{self._path.stem}.lock"), timeout=_PATIENCE):
                gone = self._forgotten | self._fresh.keys()
                lines = {key: line for key, line in self._read().items() if key not in gone} | self._fresh
                self._lines = dict(list(lines.items())[-_MOST:])
                write_atomically(self._path, dumps({"judge": self._by, "answers": self._lines}).encode())
        except Timeout:
            return MelboError(f"the judge's answers are not kept: another program holds {folder}", "end it")
        except OSError as error:
            told = disk.refused(f"the judge's answers are not kept in {folder}", folder, error)
            return MelboError(told, "or set MELBO_TUI_CACHE to another folder")
        self._fresh, self._forgotten = {}, set()
        return None

    def _read(self) -> dict[str, Any]:
        try:
            data = loads(read_regular(self._path, _MOST_BYTES))
        except (OSError, ValueError):
            return {}
        answers = data.get("answers") if isinstance(data, dict) else None
        return answers if isinstance(answers, dict) else {}


def _key(question: Question) -> str:
    return sha256(repr((question.prompt, question.text)).encode(errors="surrogatepass")).hexdigest()[:32]
