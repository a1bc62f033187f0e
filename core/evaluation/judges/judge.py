"""What a judge of completions is, and how a kind of judge is declared. Torch-free."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.errors import MelboError


@dataclass(frozen=True)
class Question:
    """What a judge is asked: what it says of `text`, a completion of `prompt`."""

    prompt: str
    text: str


class Judge(Protocol):
    """Reads completions. `name` is safe to show and without secrets; `identity` is the same for a judge that would answer the
    same, and what it has answered is kept under that.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    def answers(self, questions: Sequence[Question]) -> Generator[str, None, None]:
        """An answer a question, in their order, as the judge gave it (answers.py reads it); closing it ends the judge's work.

        Raises JudgeError where there will be no more.
        """
        ...


class JudgeError(MelboError):
    """A judge that gives no more answers. Those that it has given stay."""


class OutOfStep(JudgeError):
    """A judge whose answers are more or fewer than the questions: which is whose cannot be told, so that none stays."""


@dataclass(frozen=True)
class Wanted:
    """The judge that a user asks for: `what`, as typed behind `--judge`; a `model` of an endpoint; seconds for an answer."""

    what: str
    model: str | None = None
    seconds: float = 120.0


@dataclass(frozen=True)
class JudgeKind:
    """`summary` says what the user names. `takes` tells whether a word is one of this kind where no kind is named.

    `module` has `judge_of(wanted) -> Judge`, which raises MelboError where there can be no such judge, and is imported when it
    is wanted.
    """

    summary: str
    module: str
    takes: Callable[[str], bool] = lambda what: False

    def judge_of(self, wanted: Wanted) -> Judge:
        module: Any = importlib.import_module(self.module)
        made: Judge = module.judge_of(wanted)
        return made
