"""Conversations with steered models: talks/<talk>.json in the library's folder, written whole after every answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from vectors.errors import VectorError
from vectors.files.bounded import Always, AtMost, Coefficient, Id, Label, Prose, check, decoded
from vectors.plain_text import one_line
from vectors.store.index import LibraryError
from vectors.store.json_folder import JsonFolder

_MOST_TERMS = 1000
STEERED, UNSTEERED = "steered", "unsteered"  # who gives an answer


@dataclass(frozen=True)
class Term:
    """What one vector did while an answer was given; `positions` as the command line writes them."""

    id: Id
    name: Label
    coefficient: Coefficient
    operation: Label = "add"
    positions: Label = "all"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class Turn:
    """A message and its answers, by who gave them, under `steering`; what was thought before them stands in `thoughts`.

    `earlier` are the answers that it had before it was asked again, the oldest first.
    """

    message: Prose
    steering: Annotated[tuple[Term, ...], AtMost(_MOST_TERMS), Always] = ()
    answers: Annotated[Mapping[Label, Prose], Always] = field(default_factory=dict)
    earlier: tuple[Turn, ...] = ()
    thoughts: Mapping[Label, Prose] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Turn:
        """Reads `asdict`'s form, made safe to show. Raises VectorError for what is none."""
        return decoded(cls, data)


@dataclass(frozen=True)
class _Conversation:
    turns: tuple[Turn, ...]


def messages_for(who: str, turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """The conversation as `who` had it, (role, text) by turn; one that it did not answer is told with the other's answer."""
    messages: list[tuple[str, str]] = []
    for turn in turns:
        answer = turn.answers.get(who) or next(iter(turn.answers.values()), "")
        messages += [("user", turn.message), ("assistant", answer)]
    return messages


@dataclass(frozen=True)
class Heading:
    """A conversation as it is listed: `changed` in seconds since the epoch."""

    id: str
    changed: float
    turns: int
    message: str


class Talks:
    """The conversations in the library's `folder`. Every method raises LibraryError with one clear line."""

    def __init__(self, folder: Path) -> None:
        self._files = JsonFolder(folder / "talks", "conversation")
        self._known: dict[str, list[Turn]] = {}  # as this object has read or written them last

    def save(self, talk: str, turns: Sequence[Turn]) -> str:
        """Writes the conversation, and gives the id it is kept under.

        That is another one than `talk` where another program has gone on with the conversation meanwhile: both are kept then.
        """
        data = [asdict(turn) for turn in turns]
        ours = [Turn.from_json(turn) for turn in data]  # as they will be read
        with self._files.locked():
            try:
                kept = self._read(talk) or []
            except LibraryError:
                kept = [Turn("damaged: another program's, for all that can be told")]
            if kept not in (self._known.get(talk), ours[: len(kept)]):
                talk = f"{talk}-{secrets.token_hex(2)}"
            self._files.save(talk, data)
            self._known[talk] = ours
        return talk

    def load(self, talk: str) -> list[Turn]:
        turns = self._read(talk)
        if turns is None:
            latest = ", ".join(f"{one.id} ({one_line(one.message, 30)})" for one in self.listed(3)) or "none"
            raise LibraryError(f"there is no conversation {one_line(talk, 60)}; the latest are: {latest}")
        self._known[talk] = turns
        return list(turns)

    def _read(self, talk: str) -> list[Turn] | None:
        data = self._files.load(talk)
        try:
            return None if data is None else list(decoded(_Conversation, {"turns": data or []}).turns)
        except VectorError as error:
            raise self._files.damaged(talk, error) from error

    def listed(self, most: int = 200) -> list[Heading]:
        """The conversations that can be read, the one that was spoken last first."""
        found: list[Heading] = []
        for changed, id in self._files.listed():
            if len(found) == most:
                break
            try:
                turns = self._read(id)
            except LibraryError:  # one that is damaged does not hide the others
                continue
            if turns:
                found.append(Heading(id, changed, len(turns), turns[0].message))
        return found
