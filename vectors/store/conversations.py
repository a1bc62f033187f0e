"""Conversations with steered models: talks/<id>.json in the library's folder, written whole after every answer."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from vectors.completion import UNTOLD, Completion
from vectors.errors import VectorError
from vectors.expression import KeptTerm
from vectors.expression.tree import MOST_TERMS
from vectors.files.bounded import Always, AtMost, Label, Prose, Unfit, check, decoded
from vectors.plain_text import one_line
from vectors.store.index import LibraryError
from vectors.store.json_folder import JsonFolder

STEERED, UNSTEERED = "steered", "unsteered"  # who gives an answer


@dataclass(frozen=True)
class Turn:
    """A message and the completions that answer it, by who gave them (`steered`, `unsteered`), under `steering`.

    `earlier` are the turns that it was before it was generated again, the oldest first.
    """

    message: Prose
    steering: Annotated[tuple[KeptTerm, ...], AtMost(MOST_TERMS)] = ()
    completions: Mapping[Label, Completion] = field(default_factory=dict)
    earlier: tuple[Turn, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "completions", {who: one.kept() for who, one in self.completions.items()})
        check(self)

    def to_json(self) -> dict[str, Any]:
        return {
            "message": self.message,
            "steering": [asdict(term) for term in self.steering],
            "completions": {who: one.to_json() for who, one in self.completions.items()},
            "earlier": [turn.to_json() for turn in self.earlier],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Turn:
        """Reads `to_json`'s form, made safe to show. Raises VectorError for what is none."""
        return decoded(_Written, data).turn()


@dataclass(frozen=True)
class _Written:
    """A turn as a file has it; one of an earlier version has but the texts of answers, and of the thoughts before them."""

    message: Prose
    steering: Annotated[tuple[KeptTerm, ...], AtMost(MOST_TERMS), Always] = ()
    completions: Mapping[Label, Completion] | None = None
    answers: Mapping[Label, Prose] | None = None
    thoughts: Mapping[Label, Prose] = field(default_factory=dict)
    earlier: tuple[_Written, ...] = ()

    def turn(self) -> Turn:
        completions = self.completions
        if completions is None:
            if self.answers is None:
                raise Unfit("is missing", "completions")
            texts = self.answers.items()
            completions = {who: Completion(text, self.thoughts.get(who, ""), stop=UNTOLD) for who, text in texts}
        return Turn(self.message, self.steering, completions, tuple(one.turn() for one in self.earlier))


@dataclass(frozen=True)
class _Conversation:
    turns: tuple[_Written, ...]


def messages_for(who: str, turns: Sequence[Turn]) -> list[tuple[str, str]]:
    """The conversation as `who` had it, (role, text) by turn; a turn that it did not answer has the other's answer."""
    messages: list[tuple[str, str]] = []
    for turn in turns:
        texts = {name: one.text for name, one in turn.completions.items()}
        messages += [("user", turn.message), ("assistant", texts.get(who) or next(iter(texts.values()), ""))]
    return messages


@dataclass(frozen=True)
class Heading:
    """A conversation as it is listed: `changed` in seconds since the epoch."""

    id: str
    changed: float
    turns: int
    message: str


class Conversations:
    """The conversations in the library's `folder`. Every method raises LibraryError with one clear line."""

    def __init__(self, folder: Path) -> None:
        self._files = JsonFolder(folder / "talks", "conversation")
        self._known: dict[str, list[Turn]] = {}  # as this object has read or written them last

    def save(self, id: str, turns: Sequence[Turn]) -> str:
        """Writes the conversation, and gives the id it is kept under.

        That is another one than `id` where another program has added to the conversation meanwhile: both are kept then.
        """
        data = [turn.to_json() for turn in turns]
        ours = [Turn.from_json(turn) for turn in data]  # as they will be read
        with self._files.locked():
            try:
                kept = self._read(id) or []
            except LibraryError:
                kept = [Turn("damaged: another program's, for all that can be told")]
            if kept not in (self._known.get(id), ours[: len(kept)]):
                id = f"{id}-{secrets.token_hex(2)}"
            self._files.save(id, data)
            self._known[id] = ours
        return id

    def load(self, id: str) -> list[Turn]:
        turns = self._read(id)
        if turns is None:
            latest = ", ".join(f"{one.id} ({one_line(one.message, 30)})" for one in self.listed(3)) or "none"
            raise LibraryError(f"there is no conversation {one_line(id, 60)}; the latest are: {latest}")
        self._known[id] = turns
        return list(turns)

    def _read(self, id: str) -> list[Turn] | None:
        data = self._files.load(id)
        try:
            return None if data is None else [turn.turn() for turn in decoded(_Conversation, {"turns": data or []}).turns]
        except VectorError as error:
            raise self._files.damaged(id, error) from error

    def listed(self, most: int = 200) -> list[Heading]:
        """The conversations that can be read, the one that was changed last first."""
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
