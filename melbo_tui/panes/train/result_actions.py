"""What can be done to the vectors of a run: sample them further, keep, name, measure and use them."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.widgets import DataTable

from core.engine.events import UNSTEERED, Event, Generated, TaskEnded
from core.engine.requests import Reply, ReplyRow
from core.prompt import Prompt
from melbo_tui.formatting import CHOOSE_A_VECTOR
from melbo_tui.messages import LibraryChanged, SteerWith, TrainFamily
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.reports.measuring import Measuring
from melbo_tui.panes.train.completion import CompletionView
from melbo_tui.panes.train.results import ResultsTable
from melbo_tui.run_state import RunState
from vectors.completion import STOPPED, Completion

if TYPE_CHECKING:
    from core.engine.handle import Handle
    from melbo_tui.panes.host import Host
    from vectors.store.library import Kept

_MORE_TOKENS = 200


class ResultActions(Pane):
    """A pane with a ResultsTable and a CompletionView: actions on the vector that the table's cursor is on."""

    def __init__(self, host: Host, measuring: Measuring, id: str) -> None:
        super().__init__(host, id)
        self.measuring = measuring
        self.run: RunState | None = None
        self._asked_prompt: Prompt | None = None
        self._ids: dict[str, str] = {}  # of the vectors, by the table's keys
        self._more: list[Handle] = []  # that continue a completion

    def action_measure(self) -> None:
        """Measures all vectors of the run, in their order."""
        entries: list[Kept] = []
        self.attempt(lambda: entries.extend(self.host.library.get(id) for _, id in sorted(self._ids.items(), key=_place)))
        self.measuring.choose(self, [entry for entry in entries if not entry.deleted])

    def action_keep(self) -> None:
        key, entry = self._current()
        if entry is None:
            return
        kept = not entry.kept
        if self.attempt(lambda: self.host.library.keep([entry.id], kept)):
            self._mark(key, kept, entry.name)
            told = f"{entry.name} is kept: see Vectors (F2)." if kept else f"{entry.name} is no longer kept."
            self.notify(told, markup=False)

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
            self.post_message(TrainFamily(entry.name))

    def action_continue(self) -> None:
        from core.steering.terms import SteerTerm  # with the expressions' grammar, which the first frame does without

        key = self.query_one(ResultsTable).current
        if key is None or self._asked_prompt is None or self.host.model is None:
            return
        id = self._ids.get(key)
        if id is None and key != UNSTEERED:
            self.notify("Random controls are not kept: no more can be generated.", severity="warning")
            return
        prompt, generated = self._asked_prompt, self.run.generated.get(key) if self.run is not None else None
        if self.run is None or key in self.run.continuing:
            return
        vector = self.loaded(id) if id else None
        if id and vector is None:
            return
        steering = (SteerTerm(vector),) if vector is not None else ()
        before = generated.completion if generated is not None else Completion()
        tokens = before.tokens - before.thought_tokens + _MORE_TOKENS
        request = Reply((ReplyRow.of("more", prompt, steering, tokens),))
        handle = self.host.engine.submit(request, partial(self._continuation_told, self.run, key))
        self._more = [*(one for one in self._more if not one.done), handle]
        self.refresh_bindings()  # it can be stopped
        self.run.continuing.add(key)
        self._show_row(key)

    @on(DataTable.RowHighlighted)
    def _moved(self) -> None:
        self._show_completion()

    @on(DataTable.RowSelected)
    def _read(self) -> None:
        self.query_one(CompletionView).focus()
        # The list is shorter now, and is to show the vector still.
        table = self.query_one(ResultsTable)
        self.call_after_refresh(table.move_cursor, row=table.cursor_row, scroll=True)

    @on(CompletionView.Left)
    def _done_reading(self) -> None:
        self.query_one(ResultsTable).focus()

    def action_scroll_completion(self, pages: int) -> None:
        view = self.query_one(CompletionView)
        view.scroll_relative(y=pages * max(view.content_size.height - 1, 1), animate=False)

    def _current(self) -> tuple[str, Kept | None]:
        """The key of the row under the cursor, and its vector; where there is none, says so."""
        key = self.query_one(ResultsTable).current or ""
        entries: list[Kept] = []
        if key not in self._ids:
            self.notify(CHOOSE_A_VECTOR if key == "" else "Only trained vectors can be kept, renamed or put on the rack.")
        else:
            self.attempt(lambda: entries.append(self.host.library.get(self._ids[key])))
        return key, entries[0] if entries else None

    def _mark(self, key: str, kept: bool, name: str) -> None:
        table = self.query_one(ResultsTable)
        table.mark(key, kept, name)
        self._show_row(key)
        self.post_message(LibraryChanged())

    def _show_row(self, key: str) -> None:
        if self.run is not None and key in self.query_one(ResultsTable).rows:
            self.query_one(ResultsTable).show(self.run, [key])
        self._show_completion()

    def _continuation_told(self, run: RunState, key: str, event: Event) -> None:
        if isinstance(event, TaskEnded):
            self.refresh_bindings()
        if run is not self.run:
            return  # its rows are shown no more
        if isinstance(event, Generated):
            self._continued(run, key, event)
        elif isinstance(event, TaskEnded):
            self._continuation_ended(run, key, event)

    def _continued(self, run: RunState, key: str, event: Generated) -> None:
        before, completion = run.generated.get(key), event.completion
        # What stands there is generated again, to be continued from its end; till then it stays.
        if completion.finished or before is None or not before.completion.text.startswith(completion.text):
            run.generated[key] = event
            self._show_completion()
        if completion.finished:
            self._keep_sample(key, completion)

    def _continuation_ended(self, run: RunState, key: str, event: TaskEnded) -> None:
        """What was stopped on the way is kept as far as it came."""
        if event.outcome == "failed":
            self.notify(event.message, severity="error", markup=False)
        run.continuing.discard(key)
        generated = run.generated.get(key)
        if generated is not None and not generated.completion.finished and generated.completion.text:
            completion = replace(generated.completion, stop=STOPPED)
            run.generated[key] = replace(generated, completion=completion)
            self._keep_sample(key, completion)
        self._show_row(key)

    def _keep_sample(self, key: str, completion: Completion) -> None:
        from vectors.store.curation import Sample  # with the library, which the first frame does without

        if key in self._ids and self._asked_prompt is not None:
            sample = Sample(self._asked_prompt.shown(), 1.0, completion)
            self.attempt(lambda: self.host.library.add_sample(self._ids[key], sample))

    def _show_completion(self) -> None:
        table = self.query_one(ResultsTable)
        key = table.current
        name = table.name_of(self.run, key) if self.run is not None and key is not None else ""
        self.query_one(CompletionView).show(self.run, key, name, self.unfolded)

    def show_answers(self) -> None:
        self._show_completion()


def _place(numbered: tuple[str, str]) -> int:
    return int(numbered[0])
