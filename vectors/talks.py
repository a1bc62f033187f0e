"""Conversations with steered models: talks/<talk>.json in the library's folder, written whole after every answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vectors.index import LibraryError
from vectors.json_folder import JsonFolder
from vectors.plain_text import one_line, printable

STEERED, UNSTEERED = "steered", "unsteered"  # who gives an answer


@dataclass(frozen=True)
class Term:
    """What one vector did while an answer was given; `positions` as the command line writes them."""

    id: str
    name: str
    coefficient: float
    operation: str = "add"
    positions: str = "all"


@dataclass(frozen=True)
class Turn:
    """A message and its answers, by who gave them, under `steering`; what was thought before them stands in `thoughts`.

    `earlier` are the answers that it had before it was asked again, the oldest first.
    """

    message: str
    steering: tuple[Term, ...] = ()
    answers: Mapping[str, str] = field(default_factory=dict)
    earlier: tuple[Turn, ...] = ()
    thoughts: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Turn:
        """Raises KeyError, TypeError or ValueError for what is none."""
        return cls(
            printable(str(data["message"])),
            tuple(
                Term(str(t["id"]), one_line(str(t["name"])), float(t["coefficient"]), str(t["operation"]), str(t["positions"]))
                for t in data["steering"]
            ),
            {str(who): printable(str(text)) for who, text in dict(data["answers"]).items()},
            tuple(cls.from_json({**turn, "earlier": ()}) for turn in data.get("earlier", ())),
            {str(who): printable(str(text)) for who, text in dict(data.get("thoughts", {})).items()},
        )


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
            return None if data is None else [Turn.from_json(turn) for turn in data]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
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
