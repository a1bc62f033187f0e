"""The Vectors pane: the library, and what can be done to vectors and with them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.binding import Binding
from textual.widgets import Input

from core.engine.events import Event, Generated, LensRead, TaskEnded
from core.engine.requests import ReadLens, Reply, ReplyRow
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from core.template_arguments import shared_arguments
from melbo_tui.attempts import why_not
from melbo_tui.formatting import CHOOSE_A_VECTOR, answer_of
from melbo_tui.messages import SteerWith, TrainFamily
from melbo_tui.panes.reports.measuring import MEASURE, Measuring
from melbo_tui.panes.vectors.compare import Compare
from melbo_tui.panes.vectors.detail import NoteEditor, VectorDetail
from melbo_tui.panes.vectors.labelling import LabellingList
from melbo_tui.panes.vectors.mixing import Workbench
from melbo_tui.panes.vectors.vector_list import called
from melbo_tui.widgets.dialogs import Ask
from melbo_tui.widgets.virtual_table import Group, ShelfTable
from vectors.store.curation import MAX_RATING, Sample
from vectors.store.library import Kept
from vectors.vector import SteeringVector

if TYPE_CHECKING:
    from core.engine.handle import Handle
    from melbo_tui.panes.host import Host

_COEFFICIENTS = (-1.0, 0.0, 1.0, 2.0)
_SAMPLE_TOKENS = 48


class VectorsPane(LabellingList):
    """Actions on what is picked in the list: curate, mix, compare, sample, label, steer, exchange."""

    BINDINGS = [
        Binding("s", "steer", "Chat", id="vectors.steer", tooltip="Put it on the chat's rack (Enter does so too)"),
        Binding("space", "sample", "Sample", id="vectors.sample", tooltip="Generate under it at coefficients -1, 0, 1 and 2"),
        Binding("slash", "filter", "Find", id="vectors.filter", tooltip="Filter: words, tag:code, norm>5, rating>=3 ..."),
        Binding("x", "mark", "Mark", id="vectors.mark", tooltip="Mark it; the keys then act on all marked vectors"),
        Binding("w", "mix", "Mix", id="vectors.mix", tooltip="Mix the marked vectors"),
        Binding("t", "tag", "Tag", id="vectors.tag", tooltip="Add tags; -tag removes one"),
        Binding("d", "delete", "Trash", id="vectors.delete", tooltip="Move it to the trash"),
        Binding("u", "undo", "Undo", id="vectors.undo", tooltip="Undo the last change"),
        Binding("r", "rename", "Name", id="vectors.rename", tooltip="Rename it, which keeps it"),
        Binding("a", "all", "All", id="vectors.all", tooltip="The vectors of all runs, or only kept ones"),
        *(
            Binding(str(n), f"rate({n})", f"Rate {n}", show=False, id=f"vectors.rate{n}", tooltip=f"Give it {n} of 5")
            for n in range(MAX_RATING + 1)
        ),
        Binding("k", "keep", "Keep", show=False, id="vectors.keep", tooltip="Keep it (★), or no longer"),
        Binding("m", "note", "Note", show=False, id="vectors.note", tooltip="Write a note on it"),
        Binding("f", "family", "Family", show=False, id="vectors.family", tooltip="Train an orthogonal family off it"),
        Binding(
            "c",
            "compare",
            "Compare",
            show=False,
            id="vectors.compare",
            tooltip="A vector beside another, or a sum",
        ),
        Binding("n", "measure", "Measure", show=False, id="vectors.measure", tooltip=MEASURE),
        Binding(
            "p", "sample_on", "Sample on a prompt", show=False, id="vectors.sample_on", tooltip="Generate on a prompt of yours"
        ),
        Binding("l", "lens", "Logit lens", show=False, id="vectors.lens", tooltip="Tokens that it raises and lowers: a hint"),
        Binding("y", "thought", "Thoughts", show=False, id="vectors.thought", tooltip="Unfold the thoughts before the answers"),
        Binding("z", "runs", "By run", show=False, id="vectors.store.runs", tooltip="Group by run; Enter folds one"),
        Binding("o", "sort", "Sort", show=False, id="vectors.sort", tooltip="Sort by a column"),
        Binding("O", "reverse", "Reverse", show=False, id="vectors.reverse", tooltip="Reverse the order"),
        Binding("v", "columns", "Columns", show=False, id="vectors.columns", tooltip="Choose the columns"),
        Binding("escape", "stop", "Stop", show=False, tooltip="Stop sampling and measuring; unmark all"),
    ]

    def __init__(self, host: Host, measuring: Measuring) -> None:
        super().__init__(host, "vectors")
        self.measuring = measuring
        self._sampling: dict[tuple[str, str], Handle] = {}  # by the vector's id and the prompt
        self._previews: list[Handle] = []

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # Textual leaves letters out of the footer while somebody types, but does not know that / is one.
        return not (action == "filter" and isinstance(self.screen.focused, Input))

    def _lens_told(self, event: Event) -> None:
        if isinstance(event, LensRead) and event.vector == self._table.current:
            self._facts.lens = event
            self._show_detail()
        self._tell_failure(event)

    def _preview_told(self, show: Callable[[str], None], event: Event) -> None:
        if isinstance(event, Generated):
            show(answer_of(event.completion))
        self._tell_failure(event)

    def _sample_told(self, id: str, prompt: str, event: Event) -> None:
        if isinstance(event, Generated):
            self._sampled(event, id, prompt)
        self._tell_failure(event)
        if isinstance(event, TaskEnded):
            self._sampling.pop((id, prompt), None)
            self.refresh_list()

    def _tell_failure(self, event: Event) -> None:
        if isinstance(event, TaskEnded) and event.outcome == "failed":
            self.notify(event.message, severity="error", markup=False)

    def _sampled(self, event: Generated, id: str, prompt: str) -> None:
        coefficient = float(event.key)
        streaming = self._streaming.setdefault(id, {})
        streaming[prompt, coefficient] = sample = Sample(prompt, coefficient, event.completion)
        if event.completion.finished and self.attempt(lambda: self.host.library.add_sample(id, sample)):
            del streaming[prompt, coefficient]
        if id == self._table.current:
            self.attempt(self._read_samples)
            self._show_detail()

    @on(ShelfTable.Chosen)
    def _row_chosen(self) -> None:
        row = self._table.current_row
        if isinstance(row, Group):
            self.fold(row.key)
        else:
            self.action_steer()

    def action_measure(self) -> None:
        self.measuring.choose(self, self.picked())

    def action_stop(self) -> None:
        for handle in (*self._sampling.values(), *self._previews):
            handle.cancel()
        if not self.measuring.stop(self) and not self._sampling:
            self.unmark_all()

    def _here(self) -> Kept | None:
        """The vector under the cursor; without one, says so."""
        entry = self.current()
        if entry is None:
            self.notify(CHOOSE_A_VECTOR)
        return entry

    # What people think of vectors

    def action_rate(self, rating: int) -> None:
        self._change(lambda ids: self.host.library.rate(ids, rating))

    def action_keep(self) -> None:
        entry = self._here()
        if entry is not None:
            self._change(lambda ids: self.host.library.keep(ids, not entry.kept))

    def action_tag(self) -> None:
        picked = self.chosen()

        def tag(text: str) -> str:
            words = text.replace(",", " ").split()
            add, remove = [w for w in words if not w.startswith("-")], [w[1:] for w in words if w.startswith("-")]
            return why_not(lambda: self.host.library.tag([entry.id for entry in picked], add, remove))

        if picked:
            known = sorted({tag for line in self._lines for tag in line.entry.tags})
            hint = "Words; -word removes one." + (f" There are: {' '.join(known[:30])}" if known else "")
            self.app.push_screen(Ask(f"Tag {called(picked)}", "", hint, attempt=tag), lambda tagged: self.refresh_list())

    def action_rename(self) -> None:
        entry = self._here()
        if entry is not None:
            self.ask_name(entry.id, entry.name, lambda given: self.refresh_list())

    def action_note(self) -> None:
        entry = self._here()
        if entry is not None:
            self.query_one(VectorDetail).edit_note(entry)

    def put_away(self) -> None:
        if new := self.query_one(NoteEditor).written():
            self.attempt(lambda: self.host.library.note(*new))

    @on(NoteEditor.Written)
    def _noted(self, message: NoteEditor.Written) -> None:
        if self.attempt(lambda: self.host.library.note(message.vector, message.note)):
            self.refresh_list()

    def action_delete(self) -> None:
        picked = self.picked()
        if self._change(self.host.library.delete):
            self.notify(f"{called(picked)} in the trash; u brings it back.", markup=False)

    def action_undo(self) -> None:
        undone: list[str | None] = []
        if self.attempt(lambda: undone.append(self.host.library.undo())):
            self.notify(f"Undone: {undone[0]}." if undone[0] else "Nothing to undo since the start.", markup=False)
            self.refresh_list()

    def _change(self, change: Callable[[list[str]], object]) -> bool:
        """Does `change` to what is picked, and shows the list as it is then."""
        picked = self.chosen()
        if not picked or not self.attempt(lambda: change([entry.id for entry in picked])):
            return False
        self.refresh_list()
        return True

    # Using vectors

    def action_steer(self) -> None:
        if picked := self.chosen():
            self.post_message(SteerWith(tuple(entry.id for entry in picked)))

    def action_family(self) -> None:
        entry = self._here()
        if entry is not None:
            self.post_message(TrainFamily(entry.name))

    def action_lens(self) -> None:
        entry = self._here()
        vector = self.loaded(entry.id) if entry is not None else None
        if vector is not None and self.model_is_there():
            self.host.engine.submit(ReadLens(vector), self._lens_told)

    def action_sample(self) -> None:
        self._sample_all(self.chosen(), None)

    def action_sample_on(self) -> None:
        picked = self.chosen()
        if not picked:
            return

        def done(prompt: str | None) -> None:
            if prompt is not None:
                self.host.remember(sample_prompt=prompt)
                self._sample_all(picked, prompt)

        question, before = f"Sample {called(picked)} on", self.host.settings.sample_prompt
        self.app.push_screen(Ask(question, before, "A prompt of yours.", attempt=self.without_model), done)

    def _sample_all(self, picked: list[Kept], prompt: str | None) -> None:
        """Samples each on `prompt`, or on the one that it was trained on."""
        if not picked or not self.model_is_there():
            return
        for entry in picked:
            trained = entry.prompt if entry.prompt and not entry.prompt.startswith("token ids ") else ""
            self._sample(entry, prompt or trained or self.host.settings.prompt)
        if len(picked) > 1:
            self.notify(f"{len(picked)} vectors are sampled in turn; Esc stops.")

    def _sample(self, entry: Kept, prompt: str) -> None:
        if (entry.id, prompt) in self._sampling:
            return
        vector = self.loaded(entry.id)
        if vector is not None:
            asked = Prompt.of(entry.origin, prompt)
            rows = tuple(
                ReplyRow.of(str(c), asked, (SteerTerm(vector, c),) if c else (), _SAMPLE_TOKENS) for c in _COEFFICIENTS
            )
            told = partial(self._sample_told, entry.id, prompt)
            self._sampling[entry.id, prompt] = self.host.engine.submit(Reply(rows), told)

    def action_compare(self) -> None:
        picked = self.picked()
        here = self.current()
        if len(picked) == 1 and here is not None and here.id != picked[0].id:
            picked = [*picked, here]
        if len(picked) > 2:
            self.notify("Mark two vectors with x, or one or none, and type an expression.")
        elif len(picked) == 2:
            self.attempt(lambda: self.app.push_screen(Compare(self.host.library, *picked)))
        elif picked:
            from melbo_tui.panes.vectors import typed  # with the grammar, which the first frame does without

            typed.compare(self, picked[0])

    def action_mix(self) -> None:
        picked = self.chosen()[:12]
        if not picked:
            return

        def done(mixture: Kept | None) -> None:
            if mixture is not None:
                self.notify(f"Kept {mixture.name}; u undoes it.", markup=False)
                self.refresh_list(to=mixture.id)

        template = shared_arguments(entry.origin for entry in picked)

        def preview(vector: SteeringVector, show: Callable[[str], None]) -> None:
            prompt = Prompt(self.host.settings.prompt, template=template)
            row = ReplyRow.of("preview", prompt, (SteerTerm(vector),), _SAMPLE_TOKENS)
            handle = self.host.engine.submit(Reply((row,)), partial(self._preview_told, show))
            self._previews = [*(one for one in self._previews if not one.done), handle]

        sample = preview if self.host.model is not None else None
        self.app.push_screen(Workbench(self.host.library, picked, sample), done)
