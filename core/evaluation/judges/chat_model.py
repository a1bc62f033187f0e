"""A chat model as judge, loaded beside: a folder, a .gguf file, a hub id, `bundled`. Imports torch when it is first asked."""

from __future__ import annotations

import shutil
from collections.abc import Generator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from core.errors import ModelError
from core.evaluation.judges.judge import JudgeKind, Question, Wanted
from core.evaluation.judges.question import INSTRUCTION, quoted
from core.model.config import located
from core.model.source import DEFAULT_NAMES, ModelSource, ModelSpec, resolve
from core.processes.cancelling import end_if_cancelled
from vectors.files.bounded import LABEL
from vectors.plain_text import one_line

_AT_ONCE = 8
_TOKENS = 128


def judge_of(wanted: Wanted) -> ChatModelJudge:
    return ChatModelJudge(located(ModelSpec(wanted.what)))


class ChatModelJudge:
    """The model at `source`, which answers greedily."""

    def __init__(self, source: ModelSource) -> None:
        self._source = source
        self.name = one_line(source.label, LABEL)

    @property
    def identity(self) -> str:
        """The model's place, the sizes and times of its files, and how it is asked."""
        source = self._source
        place = Path(source.location) if source.kind != "hub" else None
        files = [] if place is None else sorted(place.iterdir()) if place.is_dir() else [place]
        facts: list[object] = [source.label, source.location, INSTRUCTION, _TOKENS]
        for file in files:
            with suppress(OSError):
                facts.append((file.name, file.stat().st_size, file.stat().st_mtime_ns))
        return f"model {sha256(repr(facts).encode()).hexdigest()}"

    def answers(self, questions: Sequence[Question]) -> Generator[str, None, None]:
        from core.evaluation.completing import Asked, completed
        from core.model.language_model import LanguageModel, convert_gguf
        from core.model.store import local_folder

        def progress(stage: str, fraction: float | None) -> None:
            end_if_cancelled()

        source = self._source
        folder = local_folder(source, None, False, progress, convert_gguf)
        model = LanguageModel.load(folder, source.name, adapter=source.adapter)
        for start in range(0, len(questions), _AT_ONCE):
            some = questions[start : start + _AT_ONCE]
            steps = completed(model, [Asked(f"{INSTRUCTION}\n\n{quoted(one)}") for one in some], _TOKENS)
            while True:
                end_if_cancelled()
                try:
                    next(steps)
                except StopIteration as stop:
                    yield from (one.text for one in stop.value)
                    break


def _takes(what: str) -> bool:
    """A word for a model; one that could be a hub id as well as a command is a command where there is such a program."""
    if what in DEFAULT_NAMES:
        return True
    try:
        if len(what.split()) != 1 and not Path(what).is_dir():
            return False
        source = resolve(what)
    except (ModelError, OSError, ValueError):  # a command line may be longer than any path
        return False
    return source.kind != "hub" or ("/" in what and shutil.which(what) is None)


JUDGE = JudgeKind("a chat model: a folder, a .gguf file, a hub id, bundled", __name__, _takes)
