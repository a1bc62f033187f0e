"""What can be done to what a run has found: hear more of it, keep, name, measure and use it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import DataTable

from core.engine.events import UNSTEERED, Event, Said, TaskEnded
from core.engine.requests import Reply, ReplyRow
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from melbo_tui.formatting import CHOOSE_A_VECTOR
from melbo_tui.messages import GrowFamily, LibraryChanged, SteerWith
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.reports.measuring import Measuring
from melbo_tui.panes.train.completion import Heard
from melbo_tui.panes.train.results import FoundTable
from melbo_tui.run_state import RunState

if TYPE_CHECKING:
    from core.engine.handle import Handle
    from melbo_tui.panes.host import Host
    from vectors.store.library import Kept

_MORE_TOKENS = 200


class FoundActions(Pane):
    """A pane with a FoundTable and a Heard: actions on the vector that the table's cursor is on."""

    def __init__(self, host: Host, measuring: Measuring, id: str) -> None:
        super().__init__(host, id)
        self.measuring = measuring
        self.run: RunState | None = None
        self._asked_prompt: Prompt | None = None
        self._ids: dict[str, str] = {}  # of the vectors, by the table's keys
        self._more: list[Handle] = []  # that let a row go on

    def action_measure(self) -> None:
        """Measures all that the run has found, in that order."""
        found: list[Kept] = []
        self.attempt(lambda: found.extend(self.host.library.get(id) for _, id in sorted(self._ids.items(), key=_place)))
        self.measuring.choose(self, [entry for entry in found if not entry.deleted])

    def action_keep(self) -> None:
        key, entry = self._current()
        if entry is None:
            return
        kept = not entry.kept
        if self.attempt(lambda: self.host.library.keep([entry.id], kept)):
            self._mark(key, kept, entry.name)
            said = f"{entry.name} is kept: it stands under Vectors." if kept else f"{entry.name} is no longer kept."
            self.notify(said, markup=False)

    def action_rename(self) -> None:
        key, entry = self._current()
        if entry is not None:
            self.ask_name(entry.id, entry.name, lambda given: self._mark(key, True, given))

    def action_chat(self) -> None:
        _, entry = self._current()
        if entry is not None:
            self.post_message(SteerWith((entry.id,)))

    def action_family(self) -> None:
        _, entry = self._current()
        if entry is not None:
            self.post_message(GrowFamily(entry.name))

    def action_hear_more(self) -> None:
        key = self.query_one(FoundTable).current
        if key is None or self._asked_prompt is None or self.host.model is None:
            return
        id = self._ids.get(key)
        if id is None and key != UNSTEERED:
            self.notify("Random controls are not kept, so they cannot go on.", severity="warning")
            return
        prompt, said = self._asked_prompt, self.run.said.get(key) if self.run is not None else None
        if self.run is None or key in self.run.going_on:
            return
        vector = self.loaded(id) if id else None
        if id and vector is None:
            return
        steering = (SteerTerm(vector),) if vector is not None else ()
        tokens = (said.tokens - said.thought_tokens if said is not None else 0) + _MORE_TOKENS
        request = Reply((ReplyRow.of("more", prompt, steering, tokens),))
        handle = self.host.engine.submit(request, partial(self._more_told, self.run, key))
        self._more = [*(one for one in self._more if not one.done), handle]
        self.run.going_on.add(key)
        self._show_row(key)

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._show_heard()

    @on(DataTable.RowSelected)
    def _read(self) -> None:
        self.query_one(Heard).focus()
        # The list is shorter now, and is to show the vector still.
        table = self.query_one(FoundTable)
        self.call_after_refresh(table.move_cursor, row=table.cursor_row, scroll=True)

    @on(Heard.Left)
    def _done_reading(self) -> None:
        self.query_one(FoundTable).focus()

    def action_scroll_heard(self, pages: int) -> None:
        heard = self.query_one(Heard)
        heard.scroll_relative(y=pages * max(heard.content_size.height - 1, 1), animate=False)

    def _current(self) -> tuple[str, Kept | None]:
        """The key of the row under the cursor, and its vector; where there is none, says so."""
        key = self.query_one(FoundTable).current or ""
        entries: list[Kept] = []
        if key not in self._ids:
            self.notify(CHOOSE_A_VECTOR if key == "" else "Only found vectors can be kept, named or chatted with.")
        else:
            self.attempt(lambda: entries.append(self.host.library.get(self._ids[key])))
        return key, entries[0] if entries else None

    def _mark(self, key: str, kept: bool, name: str) -> None:
        table = self.query_one(FoundTable)
        table.mark(key, kept, name)
        self._show_row(key)
        self.post_message(LibraryChanged())

    def _show_row(self, key: str) -> None:
        if self.run is not None and key in self.query_one(FoundTable).rows:
            self.query_one(FoundTable).show(self.run, [key])
        self._show_heard()

    def _more_told(self, run: RunState, key: str, event: Event) -> None:
        if run is not self.run:
            return  # its rows are shown no more
        if isinstance(event, Said):
            self._heard_more(run, key, event)
        elif isinstance(event, TaskEnded):
            self._ended_more(run, key, event)

    def _heard_more(self, run: RunState, key: str, event: Said) -> None:
        before = run.said.get(key)
        # What stands there is generated again, to go on from its end; till then it stays.
        if event.finished or before is None or not before.text.startswith(event.text):
            run.said[key] = event
            self._show_heard()
        if event.finished:
            self._keep_sample(key, event)

    def _ended_more(self, run: RunState, key: str, event: TaskEnded) -> None:
        """What was stopped on the way is kept as far as it came."""
        if event.outcome == "failed":
            self.notify(event.message, severity="error", markup=False)
        run.going_on.discard(key)
        said = run.said.get(key)
        if said is not None and not said.finished and said.text:
            run.said[key] = said = replace(said, finished=True)
            self._keep_sample(key, said)
        self._show_row(key)

    def _keep_sample(self, key: str, said: Said) -> None:
        if key in self._ids and self._asked_prompt is not None:
            sample = said.sample(self._asked_prompt.shown())
            self.attempt(lambda: self.host.library.add_sample(self._ids[key], sample))

    def _show_heard(self) -> None:
        table = self.query_one(FoundTable)
        key = table.current
        name = table.name_of(self.run, key) if self.run is not None and key is not None else ""
        self.query_one(Heard).show(self.run, key, name, self.unfolded)

    def show_answers(self) -> None:
        self._show_heard()


def _place(numbered: tuple[str, str]) -> int:
    return int(numbered[0])
