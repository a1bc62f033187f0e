"""The Train pane: the form of a run, its curves while it goes, and its vectors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Button

from core.engine.events import (
    Event,
    ModelLoaded,
    ModelReleased,
    PromptMeasured,
    RunStopped,
    TaskEnded,
    VectorFailed,
    VectorFound,
    Warned,
)
from core.engine.requests import MeasurePrompt, Train
from core.errors import SettingsError
from core.prompt import Prompt
from melbo_tui.breakpoints import is_wide
from melbo_tui.messages import LibraryChanged
from melbo_tui.panes.reports.measuring import MEASURE, Measuring
from melbo_tui.panes.train.completion import CompletionView
from melbo_tui.panes.train.form import TrainForm
from melbo_tui.panes.train.plot_pair import PlotPair
from melbo_tui.panes.train.result_actions import ResultActions
from melbo_tui.panes.train.results import ResultsTable
from melbo_tui.panes.train.welcome import Welcome
from melbo_tui.run_state import RunState
from melbo_tui.widgets.prompt_entry import PromptEntry
from vectors.store.index import LibraryError

if TYPE_CHECKING:
    from core.engine.handle import Handle
    from melbo_tui.panes.host import Host
    from vectors.store.checkpoints import Checkpoint

_MEASURE_AFTER = 0.4  # seconds without a keystroke before a prompt is measured


class TrainPane(ResultActions):
    # All in one place, because the footer has those of a class it builds on first.
    BINDINGS = [
        Binding("n", "new_run", "New", id="train.new", tooltip="Show or hide the form of a new run"),
        Binding("k", "keep", "Keep", id="train.keep", tooltip="Keep the vector (★), or no longer"),
        Binding("r", "rename", "Name", show=False, id="train.rename", tooltip="Rename the vector, which keeps it"),
        Binding("c", "chat", "Chat", id="train.chat", tooltip="Put the vector on the chat's rack"),
        Binding("f", "family", "Family", id="train.family", tooltip="Train an orthogonal family off the vector"),
        Binding("space", "continue", "More", id="train.more", tooltip="Generate more of the completion, or a missing one"),
        Binding("m", "measure", "Measure", show=False, id="train.measure", tooltip=f"The whole run: {MEASURE}"),
        Binding("p", "plot", "Plot", id="train.plot", tooltip="Objective, norm, KL, gradient"),
        Binding("y", "thought", "Thought", id="train.thought", show=False, tooltip="Unfold the thought before the answer"),
        # Before Pause, of which 80 columns of the footer have no room while a run is under way.
        Binding("x", "cancel", "Stop", id="train.cancel", tooltip="Stop the run; finished vectors stay"),
        Binding("z", "pause", "Pause", id="train.pause", tooltip="Pause the run, or resume it"),
        Binding("g", "resume", "Resume", id="train.resume", show=False, tooltip="Resume the run that was interrupted last"),
        Binding("shift+up", "scroll_completion(-1)", "Scroll up", show=False, tooltip="Scroll the completion below"),
        Binding("shift+down", "scroll_completion(1)", "Scroll down", show=False, tooltip="Scroll the completion below"),
    ]

    def __init__(self, host: Host, measuring: Measuring) -> None:
        super().__init__(host, measuring, "train")
        self.set_class(True, "-form-shown")  # before its widgets are there, each of which would be styled anew
        self._typing: Timer | None = None
        self._handle: Handle | None = None  # of `run`

    def compose(self) -> ComposeResult:
        settings = self.host.settings
        with Horizontal():
            yield TrainForm({**settings.form, "prompt": settings.prompt}, self._check_base)
            with Vertical(id="results"):
                yield PlotPair()
                yield Welcome()

    def on_mount(self) -> None:
        self._show_run()

    async def complete(self) -> None:
        await self.query_one("#results").mount(ResultsTable(), CompletionView())
        await self.query_one(TrainForm).complete()

    def shown(self) -> None:
        if self.run is None:
            self.query_one(PromptEntry).focus()
        else:
            self.query_one(ResultsTable).focus()

    # What the engine tells

    def take(self, event: Event) -> None:
        super().take(event)
        if isinstance(event, ModelLoaded):
            self.query_one(TrainForm).show_model(event)
            self._show_run()
        elif isinstance(event, ModelReleased):
            self.query_one(TrainForm).show_model(None)
        elif isinstance(event, TaskEnded) and self.run is None:
            self._show_run()  # the model may have failed to load

    def _run_told(self, run: RunState, event: Event) -> None:
        run.take(event)
        if isinstance(event, VectorFound):
            self._ids[str(event.index)] = event.id
            self.post_message(LibraryChanged())
        elif isinstance(event, Warned):
            self.notify(event.message, severity="warning", timeout=12, markup=False)
        elif isinstance(event, VectorFailed):
            self.notify(f"Vector {event.index + 1}: {event.cause}.", severity="warning", timeout=12, markup=False)
        elif isinstance(event, RunStopped):
            self.notify(event.reason, title="Ended early", timeout=12, markup=False)
        elif isinstance(event, TaskEnded):
            self._ended(run, event)
        self.query_one(ResultsTable).show_soon(run, run.rows_changed_by(event))
        self._show_run()

    def _ended(self, run: RunState, event: TaskEnded) -> None:
        self.refresh_bindings()
        if event.outcome == "failed":
            remedy = f"\n{event.remedy}" if event.remedy else ""
            self.notify(event.message + remedy, title="The run stopped", severity="error", timeout=20, markup=False)
            if not run.vectors:
                self.set_class(True, "-form-open")
                self._show_run()
                self.query_one(TrainForm).show_trouble(run.without_vectors())
        elif event.outcome == "cancelled":
            without = len(run.unsampled())
            lack = f" {without} without a sample: space makes one." if without else ""
            self.notify(f"Stopped; vectors in the library: {len(run.vectors)}.{lack} g resumes the run.")
        else:
            self.notify(run.summary() or f"{len(run.vectors)} vectors trained.", title="Done", markup=False, timeout=5)

    # The user acts

    @on(TrainForm.PromptChanged)
    def _prompt_changed(self, message: TrainForm.PromptChanged) -> None:
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_MEASURE_AFTER, lambda: self._measure(message.prompt))

    @on(TrainForm.Started)
    def _start(self, message: TrainForm.Started) -> None:
        if self.host.model is None:
            self.notify("The model is still loading; try again in a moment.", severity="warning")
            return
        if self.run is not None and self.run.running:
            self.notify("A run is under way: stop it first (x).", severity="warning")
            return
        form = self.query_one(TrainForm)
        self.host.remember(
            prompt=message.request.prompts[0].text, form={k: v for k, v in form.texts().items() if k != "prompt"}
        )
        self._begin(message.request)

    def action_resume(self) -> None:
        """Resumes the run that was interrupted last."""
        if self.host.model is None or (self.run is not None and self.run.running):
            self.notify("A run can be resumed once the model is loaded and no other run is under way.", severity="warning")
            return
        from core.engine.unfinished import AskedRun

        try:
            left = self._interrupted()
            if left is None:
                self.notify("There is no interrupted run to resume.")
                return
            self._begin(replace(left.told(AskedRun).request, resume=left.run))
        except (LibraryError, SettingsError) as error:
            self.notify(str(error), severity="error", markup=False)

    def _interrupted(self) -> Checkpoint | None:
        """The latest run of this model that was not finished."""
        model = self.host.model
        if model is None:
            return None
        from vectors.store.checkpoints import Checkpoints

        return Checkpoints(self.host.library.folder).latest(model.fingerprint)

    def _interrupted_quietly(self) -> Checkpoint | None:
        try:
            return self._interrupted()
        except LibraryError:  # it is told when somebody asks to resume
            return None

    def train_family(self, base: str) -> None:
        """Opens the form, set up for the orthogonal family of the vector called `base`."""
        form = self.query_one(TrainForm)
        form.train_family(base)
        self.set_class(True, "-form-open")
        self._show_run()
        form.query_one("#start").focus()

    def _check_base(self, name: str) -> None:
        """Raises SettingsError where the library has no such vector."""
        if not name.strip():
            raise SettingsError("a family needs a base vector", "name it, or press f on it in a list")
        try:
            self.host.library.find(name.strip(), self.host.model.label if self.host.model else None)
        except LibraryError as error:
            raise SettingsError(str(error)) from None

    def _begin(self, request: Train) -> None:
        self._asked_prompt = request.prompts[0]
        self.query_one(ResultsTable).forget()
        self._ids.clear()
        self.run = run = RunState(request.count)
        self._handle = self.host.engine.submit(request, partial(self._run_told, run))
        self.refresh_bindings()
        self.set_class(False, "-form-open")
        self._show_run()
        self.query_one(ResultsTable).focus()

    @on(Button.Pressed, "#pause")
    def action_pause(self) -> None:
        if self._handle is not None and self.run is not None and self.run.running:
            self._handle.resume() if self.run.paused else self._handle.pause()

    @on(Button.Pressed, "#cancel")
    def action_cancel(self) -> None:
        """Ends the run; when none is going, the completion that is being continued."""
        if self._handle is not None and self.run is not None and self.run.running:
            self._handle.cancel()
        else:
            for handle in self._more:
                handle.cancel()

    def action_new_run(self) -> None:
        opened = not self.has_class("-form-open")
        self.set_class(opened, "-form-open")
        if opened or is_wide(self.app):
            prompt = self.query_one(PromptEntry)
            prompt.focus()
            prompt.select_all()  # what is typed takes its place
        else:
            self.query_one(ResultsTable).focus()
        self._show_run()

    @on(TrainForm.Left)
    def _form_left(self) -> None:
        self.set_class(False, "-form-open")
        self._show_run()
        (self.query_one(ResultsTable) if self.run is not None else self.query_one("#start")).focus()

    def action_plot(self) -> None:
        self.query_one(PlotPair).turn()

    # What is shown

    def _measure(self, prompt: Prompt) -> None:
        if self.host.model is not None and self.host.model.has_tokenizer:
            self.host.engine.submit(MeasurePrompt(prompt), self._prompt_told)

    def _prompt_told(self, event: Event) -> None:
        if isinstance(event, PromptMeasured):
            self.query_one(TrainForm).show_measured(event)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        # The footer is short: what only a run can be told stands there while one is under way.
        running = self.run is not None and self.run.running
        if action == "pause":
            return running
        return action != "cancel" or running or any(not handle.done for handle in self._more)

    def _show_run(self) -> None:
        run = self.run
        self.set_class(run is not None, "-has-run")
        self.set_class(run is None or self.has_class("-form-open"), "-form-shown")
        self.query_one(TrainForm).show_running(run is not None and run.running, run is not None and run.paused)
        if run is None:
            self.query_one(Welcome).show(self.host.model, self.host.trouble, self._interrupted_quietly())
        else:
            table = self.query_one(ResultsTable)
            room = table.outer_size.width - 6  # between the corners of its border, where it has been laid out
            table.entitle(f"Trained {len(run.vectors)} of {run.asked}", run.summary(room if room > 0 else None))
            self._show_completion()
        self.query_one(PlotPair).show(run)
