"""The form of a new run: few fields, each explained and checked while one types."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Collapsible, Input

from core.discovery import METHODS
from core.discovery.declarations.general import General
from core.discovery.method import Method
from core.engine.events import ModelLoaded, PromptMeasured
from core.engine.requests import Train
from core.errors import SettingsError
from core.prompt import Prompt
from core.specs import declared
from core.template_arguments import parse_line
from melbo_tui.panes.train.facts import DepthLine, Explanation, PromptFacts, check_blocks
from melbo_tui.panes.train.fields import MethodChoice, first_fields, more_fields
from melbo_tui.panes.train.method_fields import MethodFields
from melbo_tui.widgets.field import Check, Field, go_to
from melbo_tui.widgets.focus_frame import FocusFrame
from melbo_tui.widgets.prompt_entry import PromptEntry
from melbo_tui.widgets.setting_field import explained, values_of
from vectors.errors import VectorError

if TYPE_CHECKING:
    from melbo_tui.panes.train.own_fields import OwnFields


class TrainForm(FocusFrame):
    """Posts `Started` with a checked request, `PromptChanged` when the prompt should be measured anew, `Left` on Escape.

    `texts` are what the fields hold first, by their keys; `base` checks the name of a family's base vector.
    """

    BINDINGS = [Binding("escape", "leave", "Leave", show=False)]  # the fields show it

    class Started(Message):
        def __init__(self, request: Train) -> None:
            super().__init__()
            self.request = request

    class PromptChanged(Message):
        def __init__(self, prompt: Prompt) -> None:
            super().__init__()
            self.prompt = prompt

    class Left(Message):
        pass

    def __init__(self, texts: Mapping[str, str], base: Check) -> None:
        super().__init__(id="form")
        self.border_title = "New run"
        self._texts = texts
        self._fields: dict[str, Field] = {}  # those that every method has, by their keys
        self._of_methods = MethodFields(texts, base)
        self._completed = False
        self._model: ModelLoaded | None = None
        self._measured: PromptMeasured | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._filled(first_fields(self._texts.get("prompt", ""), self._first_method.general))
            yield Collapsible(title="More settings", id="more")
        yield Explanation("", id="explanation", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Start", variant="primary", id="start", compact=True)
            yield Button("Pause", id="pause", compact=True, disabled=True)
            yield Button("Stop", id="cancel", compact=True, disabled=True)
        self._more = list(self._filled(more_fields(self._first_method.general)))

    def _filled(self, widgets: Iterable[Widget]) -> Iterator[Widget]:
        """The fields among them hold their texts; those that the method has no use for are not displayed."""
        for widget in widgets:
            if isinstance(widget, Field):
                self._fields[widget.key] = widget
                text = str(self._texts.get(widget.key, widget.text))
                if text != widget.text:
                    widget.text = text
                widget.display = _has(self._first_method, widget.key)
            yield widget

    @property
    def _first_method(self) -> Method:
        """The one that the form begins with; other packages' methods are listed later."""
        name = str(self._texts.get("method", "melbo"))
        return METHODS[name] if name in METHODS.own else METHODS["melbo"]

    async def complete(self) -> None:
        """Composes what the first frame did without, and marks the fields whose texts cannot be."""
        await self.query_one("#more Contents").mount(Vertical(id="own-more"), *self._more)
        self._completed = True
        await self.query_one(MethodChoice).offer_others(str(self._texts.get("method", "")))
        for field in self._fields.values():
            await field.complete()
            if field.key in self._texts:
                field.check()
        self._show_method()

    def on_mount(self) -> None:
        self._explain(self._method.summary)

    # What the form knows of the world

    def show_model(self, model: ModelLoaded | None) -> None:
        self._model, self._measured = model, None
        self._show_depth()
        self._show_prompt_facts()
        if model is not None:
            self._ask_to_measure()

    def show_measured(self, measured: PromptMeasured) -> None:
        self._measured = measured
        self._show_prompt_facts()

    def show_running(self, running: bool, paused: bool) -> None:
        self.query_one("#start", Button).disabled = running
        for id in ("pause", "cancel"):
            self.query_one(f"#{id}", Button).disabled = not running
        self.query_one("#pause", Button).label = "Resume" if paused else "Pause"

    def texts(self) -> dict[str, str]:
        """What stands in every field, to be remembered."""
        return self._of_methods.texts() | {key: field.text for key, field in self._fields.items()}

    def fill(self, texts: dict[str, str]) -> None:
        """Puts `texts` into the fields of these keys: those of every method, then those of the chosen one."""
        for key, text in texts.items():
            if key in self._fields:
                self._fields[key].text = str(text)
        if self.own is not None:
            self.own.fill({key: str(text) for key, text in texts.items() if key not in self._fields})

    def start(self) -> None:
        """Posts the request, or shows what is wrong and goes there."""
        self._trouble = ""
        try:
            request = self.request()
        except SettingsError as error:
            wrong = next((field for field in self._meant() if field.wrong), None)
            if wrong is not None:
                go_to(wrong)
            self._explain(str(error) + (f": {error.remedy}" if error.remedy else ""), wrong=True)
            return
        self._explain(self._method.summary)
        self.post_message(self.Started(request))

    @on(Field.Left)
    def action_leave(self) -> None:
        self.post_message(self.Left())

    def show_trouble(self, text: str) -> None:
        """Tells why the last run trained no vector, until another is started."""
        self._trouble = text
        self._explain(text, wrong=True)
        self.query_one("#start", Button).focus()

    def request(self) -> Train:
        """The run that the fields describe. Raises SettingsError for the first thing that cannot be."""
        for field in self._meant():  # what the method has no use for may be anything
            if not field.check():
                raise SettingsError(f"{field.wrong}")
        if self._model is not None:
            check_blocks(self._model.n_blocks, *self._blocks())
        settings = self.own.values(lambda line: self.notify(line, markup=False)) if self.own is not None else {}
        from core.engine.given_files import looked_at  # which imports numpy

        try:
            general = looked_at(values_of(self._method.general, self._fields))
        except VectorError as error:
            raise SettingsError(str(error)) from None
        return Train(prompts=(self._prompt(),), method=self._method_name, settings=settings, **general)

    def _meant(self) -> list[Field]:
        """The fields that the chosen method has a use for."""
        common = [field for key, field in self._fields.items() if _has(self._method, key)]
        return common + (self.own.meant() if self.own is not None else [])

    def _blocks(self) -> tuple[int | None, int | None]:
        """Source and target block as they are typed. Raises SettingsError."""
        general = declared(General)
        source, target = (general[key].read(self._field(key).text) for key in ("source", "target"))
        return source, target if _has(self._method, "target") else None

    def train_family(self, base: str) -> None:
        """Sets the form up for the orthogonal family of the vector called `base`."""
        self.fill({"method": "ortho", "base": base, "source": "auto", "vectors": "auto"})
        self._show_method()

    # Inside

    @property
    def _method_name(self) -> str:
        """The chosen method's."""
        return self._field("method").text

    @property
    def _method(self) -> Method:
        """What the chosen method declares; MELBO's declaration where it cannot be imported, of which its field tells."""
        try:
            return METHODS.named(self._method_name, "method")
        except SettingsError:
            return METHODS["melbo"]

    @property
    def own(self) -> OwnFields | None:
        """The fields of the chosen method's own settings; None where it cannot be imported."""
        return self._of_methods.of(self._method_name)

    def _show_method(self) -> None:
        """Shows the fields that the method has, and what they come to by themselves."""
        general = self._method.general
        for key, field in self._fields.items():
            field.display = _has(self._method, key)
            if key in general:
                field.explanation = explained(general[key])
        if self._completed:
            self._of_methods.show(self._method_name, self.query_one("#own"), self.query_one("#own-more"))

    @on(Field.Changed)
    def _field_changed(self, event: Field.Changed) -> None:
        field = event.field
        if self._of_methods.has(self._method_name, field) and self.own is not None:
            self.own.show(True)  # whether others mean something may hang on it
            self._explain_field(event)
            return
        if field.key == "method":
            self._show_method()
            field.explanation = self._method.summary
        if field.key in ("source", "target"):
            self._show_depth()
        if field.key in ("prompt", "system", "template", "raw") and self._model is not None:
            self._ask_to_measure()
        if field.key == "tokens":
            self._show_prompt_facts()
        self._explain_field(event)

    @on(Field.Focused)
    def _explain_field(self, event: Field.Changed) -> None:
        field = event.field
        if field.has_focus_within:  # by now the focus may be elsewhere
            self._explain(field.wrong or field.about, wrong=bool(field.wrong))

    def on_descendant_focus(self, event: DescendantFocus) -> None:
        if event.widget.id == "start":
            self._explain(self._trouble or self._method.summary, wrong=bool(self._trouble))

    @on(Button.Pressed, "#start")
    def _start_pressed(self) -> None:
        self.start()

    @on(Input.Submitted)
    @on(PromptEntry.Submitted)
    def _entered(self) -> None:
        self.start()

    def _ask_to_measure(self) -> None:
        with contextlib.suppress(SettingsError):  # which is told when the run is started
            self.post_message(self.PromptChanged(self._prompt()))

    def _prompt(self) -> Prompt:
        """The prompt as the model would be asked it. Raises SettingsError."""
        text, system, template, raw = (self._field(key).text.strip() for key in ("prompt", "system", "template", "raw"))
        return Prompt(text, system=system or None, raw=raw == "yes", template=parse_line(template))

    def _field(self, key: str) -> Field:
        return self._fields[key]

    def _explain(self, text: str, wrong: bool = False) -> None:
        self.query_one(Explanation).show(text, wrong)

    def _show_prompt_facts(self) -> None:
        self.query_one(PromptFacts).show(self._measured, self._field("tokens").text)

    def _show_depth(self) -> None:
        line = self.query_one(DepthLine)
        try:
            blocks = self._blocks()
        except SettingsError:  # which their fields tell
            blocks = None
        if self._model is None or blocks is None:
            line.update("")
        else:
            line.show(self._model.n_blocks, *blocks)


def _has(method: Method, key: str) -> bool:
    """Whether the method has a use for the field of that key, one of those that are the same for every method."""
    return key in method.general or key not in declared(General)
