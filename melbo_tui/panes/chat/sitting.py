"""The conversations of one sitting, from when the app opens: the one on the screen, the one that was cleared for it, and those
that are not kept yet.
"""

from __future__ import annotations

from melbo_tui.panes.chat.conversation import LiveTurn
from vectors.moment import moment
from vectors.plain_text import one_line
from vectors.store.conversations import Conversations
from vectors.store.library import new_run_id


class Sitting:
    """`turns` are those of the conversation `id`, which is on the screen."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations
        self.turns: list[LiveTurn] = []
        self._cleared: list[LiveTurn] = []
        self.id = self._cleared_id = new_run_id()
        self._unsaved: dict[str, list[LiveTurn]] = {}

    def clear(self) -> bool:
        """Begins a new conversation; tells whether there was one."""
        if not self.turns:
            return False
        self._cleared, self.turns = self.turns, []
        self.id, self._cleared_id = new_run_id(), self.id
        return True

    def undo_clear(self) -> bool:
        """Brings back what was cleared, where nothing was asked since; tells whether it did."""
        if not self._cleared or self.turns:
            return False
        self.turns, self._cleared = self._cleared, []
        self.id = self._cleared_id
        return True

    def open(self, id: str) -> None:
        """Resumes an earlier conversation. Raises LibraryError where it cannot be read."""
        self.turns, self.id = [LiveTurn.of(turn) for turn in self._conversations.load(id)], id

    def earlier(self) -> list[tuple[str, str]]:
        """The other conversations that are kept, by id, with a line about each. Raises LibraryError."""
        lines = []
        for one in self._conversations.listed():
            if one.id != self.id or not self.turns:
                answers = f"{one.turns} answers" if one.turns > 1 else "1 answer"
                lines.append((one.id, f"{moment(one.changed)}  {answers:<10}  {one_line(one.message, 80)}"))
        return lines

    @property
    def unsaved(self) -> bool:
        """Whether there is a conversation that is not kept yet, as a full disk did not take it."""
        return bool(self._unsaved)

    def to_be_saved(self, id: str, turns: list[LiveTurn]) -> None:
        """There is something new in the conversation `id`, for `save`."""
        self._unsaved[id] = turns

    def save(self) -> bool:
        """Keeps what is not kept yet, in the library, so that it outlives the program; tells whether another program resumed
        one of these conversations, which is then kept beside the other's. Raises LibraryError, and has it tried again."""
        beside = False
        for id, turns in list(self._unsaved.items()):
            kept_as = self._conversations.save(id, [turn.kept() for turn in turns])
            del self._unsaved[id]
            if kept_as != id:
                beside = True
                self.id = kept_as if self.id == id else self.id
                self._cleared_id = kept_as if self._cleared_id == id else self._cleared_id
        return beside
