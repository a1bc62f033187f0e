"""The app: three panes around one engine. Imports no torch; the engine's thread does, after the first frame."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, TypeAlias

from textual import on
from textual.app import ComposeResult, SystemCommand
from textual.binding import Binding
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from core.engine.events import Event, ModelLoaded
from core.log import failed
from core.model.source import ModelSpec
from melbo_tui.at_work import AtWork
from melbo_tui.breakpoints import SLIM, WIDE, is_too_small
from melbo_tui.faults import LoggedApp
from melbo_tui.last_filter import FilteredApp
from melbo_tui.line.app import TerminalApp
from melbo_tui.loading import Loading
from melbo_tui.messages import LibraryChanged, SteerWith, TrainFamily
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.reports.measuring import Measuring
from melbo_tui.panes.train.pane import TrainPane
from melbo_tui.settings import Settings
from melbo_tui.widgets.key_footer import KeyFooter
from melbo_tui.widgets.task_bar import TaskBar
from melbo_tui.widgets.too_small import TooSmall
from melbo_tui.widgets.top_bar import PaneTab, TopBar
from vectors.store.index import LibraryError

if TYPE_CHECKING:
    from core.engine.handle import Deliver, EngineLike, Listener
    from vectors.store.library import Library


MakeEngine: TypeAlias = "Callable[[Library, Listener, Deliver], EngineLike]"


def real_engine(library: Library, everything: Listener, deliver: Deliver) -> EngineLike:
    from core.engine.session import Session
    from core.engine.worker import Engine

    return Engine(Session(library, waits_for_space=True), everything, deliver)


class MelboApp(FilteredApp, LoggedApp, TerminalApp):
    """`library` may be what opens it, to be called after the first frame. `make_engine` is given the library, who is told of
    every event, and by what; the default makes the real engine. `failure` is what ended the app, where something did.
    """

    TITLE = "melbo-tui"
    CSS_PATH = "app.tcss"
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (WIDE, "-wide")]
    BINDINGS = [
        Binding("1,f1", "pane('train')", "Train", id="app.train", show=False),
        Binding("2,f2", "pane('vectors')", "Vectors", id="app.vectors", show=False),
        Binding("3,f3", "pane('chat')", "Chat", id="app.chat", show=False),
        Binding("question_mark", "guide", "Help", id="app.help"),
        Binding("ctrl+q", "quit", "Quit", id="app.quit", show=False, priority=True),
        Binding("ctrl+z", "suspend_process", "Suspend", id="app.suspend", show=False, priority=True),
    ]

    def __init__(
        self, spec: ModelSpec, library: Library | Callable[[], Library], make_engine: MakeEngine = real_engine
    ) -> None:
        super().__init__()
        self.loading = Loading(self, spec, lambda: self.engine, self.show_state)
        self._library = library
        self.failure: LibraryError | None = None
        self.settings = Settings.load()
        self._settings_unsaved: dict[str, Any] = {}
        self._make_engine = make_engine
        self._engine: EngineLike | None = None
        self.at_work = AtWork()
        self._measuring = Measuring()
        self._panes: list[Pane] = [TrainPane(self, self._measuring)]  # the others are there after the first frame
        self._pane = "train"

    def compose(self) -> ComposeResult:
        yield TopBar()
        with ContentSwitcher(initial="train", id="panes"):
            yield from self._panes
        yield TaskBar()
        yield KeyFooter(compact=True)

    def on_mount(self) -> None:
        if self.settings.theme in self.available_themes:
            self.theme = self.settings.theme
        self.set_class(self.console.color_system == "standard", "-few-colors")
        self.theme_changed_signal.subscribe(self, lambda theme: self.remember(theme=theme.name))
        self.action_pane("train")
        self.call_after_refresh(self._complete)

    async def _complete(self) -> None:
        """Brings what the first frame did without: the other panes, then the model, whose import keeps Python busy."""
        from melbo_tui.panes.chat.pane import ChatPane
        from melbo_tui.panes.vectors.pane import VectorsPane

        self.begin_log()
        try:
            library = self.library
        except LibraryError as error:
            self.failure = error
            failed("opening the library", error)
            self.exit(return_code=1)
            return
        # A call that waits in the app's queue never blocks the engine, even when the terminal has stopped reading.
        self._engine = self._make_engine(library, self._engine_told, self.call_later)
        others: tuple[Pane, ...] = (VectorsPane(self, self._measuring), ChatPane(self))
        for other in others:
            await self.query_one("#panes", ContentSwitcher).add_content(other)
            self._panes.append(other)
        for pane in self._panes:
            await pane.complete()
        if self._pane != "train":  # somebody was quick
            self.action_pane(self._pane)
        for problem in library.problems():
            self.notify(f"In the library: {problem}", severity="warning", markup=False)
        if not gc.isenabled():  # the command line let it wait for the first frame
            gc.freeze()
            gc.enable()
        self.loading.load(self.spec)

    @cached_property
    def library(self) -> Library:
        """Raises LibraryError where it cannot be opened."""
        return self._library() if callable(self._library) else self._library

    def on_unmount(self) -> None:
        self.close_engine(10.0)

    # The engine

    @property
    def engine(self) -> EngineLike:
        assert self._engine is not None, "the engine starts after the first frame"
        return self._engine

    @property
    def busy(self) -> bool:
        return self.at_work.busy

    @property
    def model(self) -> ModelLoaded | None:
        return self.loading.model

    @property
    def spec(self) -> ModelSpec:
        return self.loading.spec

    @property
    def trouble(self) -> str:
        return self.loading.trouble

    def spec_of(self, model: str) -> ModelSpec:
        return self.loading.spec_of(model)

    def _engine_told(self, event: Event) -> None:
        """Takes in an event of any task, behind the task's own listener."""
        self.at_work.take(event)
        for pane in self._panes:
            pane.take(event)
        self.show_state()

    def show_state(self) -> None:
        """The top line and the task line, from what the engine is doing."""
        bar, work, trouble = self.query_one(TopBar), self.at_work, self.trouble
        bar.show_model(self.model, f"no model: {trouble}" if trouble else f"loading {self.loading.asked.model} …")
        if work.idle:
            state, style = ("○ idle", "dim") if self.model else ("○ no model" if trouble else "◌ starting", "dim")
        elif not work.busy:
            state, style = "‖ paused", self.theme_variables["text-warning"]
        else:
            state, style = f"● {work.word}", self.theme_variables["text-success"]
        bar.show_engine(state, style)
        self.query_one(TaskBar).show(work.progress, paused=work.progress_paused)

    # The user

    def remember(self, **changes: Any) -> None:
        """Changes the settings and saves them; why that could not be done is told once, for nothing else depends on it."""
        changes = {**self._settings_unsaved, **changes}
        self.settings, wrong = self.settings.changed(**changes)
        if wrong and not self._settings_unsaved:
            self.notify(wrong, severity="warning", markup=False)
        self._settings_unsaved = changes if wrong else {}

    def action_pane(self, pane: str) -> None:
        self._pane = pane
        if pane not in [one.id for one in self._panes]:
            return
        self.query_one("#panes", ContentSwitcher).current = pane
        self.query_one(TopBar).show_pane(pane)
        self.call_after_refresh(self.query_one(f"#{pane}", Pane).shown)

    def action_command_palette(self) -> None:
        from melbo_tui.widgets.palette import Palette  # after the first frame

        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_guide(self) -> None:
        from melbo_tui.guide import PAGE
        from melbo_tui.widgets.dialogs import Help

        self.push_screen(Help("melbo-tui", PAGE))

    def deliver_screenshot(
        self, filename: str | None = None, path: str | None = None, time_format: str | None = None
    ) -> str | None:
        """Textual's own writes to a downloads folder, which a machine without a desktop has not; in a browser it does well."""
        if self.is_web:
            return super().deliver_screenshot(filename, path, time_format)
        from melbo_tui import screenshots

        return screenshots.deliver(self, self.library.folder, filename, path)

    @on(PaneTab.Chosen)
    def _tab(self, message: PaneTab.Chosen) -> None:
        self.action_pane(message.pane)

    @on(SteerWith)
    def _steer_with(self, message: SteerWith) -> None:
        from melbo_tui.panes.chat.pane import ChatPane

        chat = self.query_one(ChatPane)
        chat.add(message.ids)
        if message.terms:
            chat.steer_again(message.terms)
        self.action_pane("chat")

    @on(TrainFamily)
    def _train_family(self, message: TrainFamily) -> None:
        self.action_pane("train")
        # Behind what the pane does when it is shown, or that would take the focus from Start.
        self.call_after_refresh(self.query_one(TrainPane).train_family, message.name)

    @on(LibraryChanged)
    def _library_changed(self) -> None:
        from melbo_tui.panes.vectors.pane import VectorsPane

        if self._pane == "vectors":
            self.query_one(VectorsPane).refresh_list()

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        from melbo_tui import usual_judge

        yield from super().get_system_commands(screen)
        yield from self.loading.commands()
        yield from usual_judge.commands(self)
        yield SystemCommand("Guide", "What this program is for, and the shortest way through it", self.action_guide)
        how = "as usual" if self.low_bandwidth else "once a second, for a slow line"
        yield SystemCommand("Low bandwidth", f"Paint {how}", self._turn_low_bandwidth)
        pane = self.query_one(f"#{self.query_one('#panes', ContentSwitcher).current}", Pane)
        for binding in pane._bindings.key_to_bindings.values():
            for one in binding:
                if one.description and one.tooltip:
                    run = partial(self.call_later, self.run_action, one.action, pane)
                    yield SystemCommand(f"{one.description} ({one.key})", one.tooltip, run)

    async def action_quit(self) -> None:
        """Ends the engine at its next step, which puts away what is finished, and leaves; a second time, at once."""
        if not self.at_work.idle:
            self.notify("Finishing the step in hand …")
        await super().action_quit()

    def put_away(self) -> None:
        for pane in self._panes:
            pane.put_away()
        if self._settings_unsaved:
            self.remember()

    def close_engine(self, seconds: float) -> bool:
        closed = self._engine is None or self._engine.close(seconds)
        self.end_log()  # after a signal the process is ended before the app is unmounted
        return closed

    def _turn_low_bandwidth(self) -> None:
        self.low_bandwidth = not self.low_bandwidth
        self.remember(low_bandwidth=self.low_bandwidth)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.width < SLIM, "-slim")  # the app's own size is still the one before
        covers = [screen for screen in self.screen_stack if isinstance(screen, TooSmall)]
        if is_too_small(event.size) and not covers:
            self.push_screen(TooSmall())
        for cover in covers:
            cover.call_later(cover.fit, event.size)
        self.show_state()
