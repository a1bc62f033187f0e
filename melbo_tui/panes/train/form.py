"""The form of a new run: few fields, each explained and checked while one types."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Collapsible, Input, Select, Static

from core.discovery import METHODS
from core.discovery.method import Method
from core.engine.events import ModelLoaded, PromptMeasured
from core.engine.requests import Train
from core.errors import SettingsError
from core.model.source import default_blocks
from core.prompt import Prompt
from core.segment.objective_tokens import parse_tokens
from core.template_arguments import parse_line
from melbo_tui.panes.train.fields import first_fields, more_fields, name_or_none, radius, steps_explained, whole
from melbo_tui.widgets.field import Check, Field
from melbo_tui.widgets.prompt_entry import PromptEntry
from vectors.plain_text import one_line

if TYPE_CHECKING:
    from melbo_tui.panes.train.own_fields import OwnFields


class TrainForm(Vertical):
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
        self._texts, self._check_base = texts, base
        self._fields: dict[str, Field] = {}  # those that every method has, by their keys
        self._own: dict[str, OwnFields] = {}  # those of methods that have been chosen
        self._completed = False
        self._model: ModelLoaded | None = None
        self._measured: PromptMeasured | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._filled(first_fields(self._texts.get("prompt", "")))
            yield Collapsible(title="More settings", id="more")
        yield Static("", id="explanation", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Start", variant="primary", id="start", compact=True)
            yield Button("Pause", id="pause", compact=True, disabled=True)
            yield Button("Cancel", id="cancel", compact=True, disabled=True)
        self._more = list(self._filled(more_fields()))

    def _filled(self, widgets: Iterable[Widget]) -> Iterator[Widget]:
        """The fields among them hold their texts; those that the method has no use for are not displayed."""
        name = str(self._texts.get("method", "melbo"))
        method = METHODS[name] if name in METHODS.own else METHODS["melbo"]
        for widget in widgets:
            if isinstance(widget, Field):
                self._fields[widget.key] = widget
                text = str(self._texts.get(widget.key, widget.text))
                if text != widget.text:
                    widget.text = text
                widget.display = _has(method, widget.key)
            yield widget

    async def complete(self) -> None:
        """Composes what the first frame did without, and marks the fields whose texts cannot be."""
        await self.query_one("#more Contents").mount(Vertical(id="own-more"), *self._more)
        self._completed = True
        await self._offer_methods_of_others()
        for field in self._fields.values():
            await field.complete()
            if field.key in self._texts:
                field.check()
        self._show_method()

    async def _offer_methods_of_others(self) -> None:
        """Other packages' methods, which are found in a thread: it takes longer than a frame."""
        others = await asyncio.to_thread(lambda: list(METHODS.others))
        if others:
            entry = self._field("method").entry
            assert isinstance(entry, Select)
            chosen = str(self._texts.get("method", ""))
            now = self._field("method").text
            with self.prevent(Select.Changed):
                entry.set_options([(name, name) for name in METHODS])
                entry.value = chosen if chosen in others else now

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
        texts = {key: field.text for key, field in self._fields.items()}
        for own in self._own.values():
            texts |= own.texts()
        return {**self._texts_of_others(), **texts}

    def _texts_of_others(self) -> dict[str, str]:
        """What was remembered of methods that have not been chosen since."""
        kept = {key: str(text) for key, text in self._texts.items() if key not in self._fields}
        return {key: text for key, text in kept.items() if key.partition(".")[0] not in self._own}

    def fill(self, texts: dict[str, str]) -> None:
        """Puts `texts` into the fields of these keys: those of every method, then those of the chosen one."""
        for key, text in texts.items():
            if key in self._fields:
                self._fields[key].text = str(text)
        if (own := self._own_fields()) is not None:
            own.fill({key: str(text) for key, text in texts.items() if key not in self._fields})

    def start(self) -> None:
        """Posts the request, or shows what is wrong and goes there."""
        self._trouble = ""
        try:
            request = self.request()
        except SettingsError as error:
            wrong = next((field for field in self._meant() if field.wrong), None)
            if wrong is not None:
                self._go_to(wrong)
            self._explain(str(error) + (f": {error.remedy}" if error.remedy else ""), wrong=True)
            return
        self._explain(self._method.summary)
        self.post_message(self.Started(request))

    @on(Field.Left)
    def action_leave(self) -> None:
        self.post_message(self.Left())

    def show_trouble(self, text: str) -> None:
        """Tells why the last run found nothing, until another is started."""
        self._trouble = text
        self._explain(text, wrong=True)
        self.query_one("#start", Button).focus()

    def request(self) -> Train:
        """The run that the fields describe. Raises SettingsError for the first thing that cannot be."""
        for field in self._meant():  # what the method has no use for may be anything
            if not field.check():
                raise SettingsError(f"{field.wrong}")
        text = {key: self._said(key) for key in self._fields}
        source, target = self._blocks()
        own = self._own_fields()
        return Train(
            prompts=(self._prompt(),),
            source=source,
            target=target,
            radius=radius(text["radius"]),
            vectors=int(text["vectors"]) if text["vectors"] else None,
            steps=whole(1, auto=True)(text["steps"]),
            seed=int(text["seed"]),
            method=self._method_name,
            settings=own.values(lambda line: self.notify(line, markup=False)) if own is not None else {},
            tokens=text["tokens"],
            name=name_or_none(text["name"]),
            thought_tokens=int(text["thought_tokens"]),
        )

    def _meant(self) -> list[Field]:
        """The fields that the chosen method has a use for."""
        own = self._own_fields()
        common = [field for key, field in self._fields.items() if _has(self._method, key)]
        return common + (own.meant() if own is not None else [])

    def _go_to(self, field: Field) -> None:
        more = self.query_one("#more", Collapsible)
        if more in field.ancestors and more.collapsed:
            more.collapsed = False
            self.call_after_refresh(field.entry.focus)
        else:
            field.entry.focus()

    def _blocks(self) -> tuple[int | None, int | None]:
        read = whole(0, auto=True)
        source, target = read(self._said("source")), read(self._said("target"))
        if self._model is not None:
            last = self._model.n_blocks - 1
            auto_source, auto_target = default_blocks(self._model.n_blocks)
            at = auto_source if source is None else source
            to = auto_target if target is None else target
            if at > last - 1:
                raise SettingsError(f"block {at} cannot be steered", f"this model takes 0 to {last - 1}")
            if to > last:
                raise SettingsError(f"block {to} does not exist", f"this model's last block is {last}")
            if to <= at:
                raise SettingsError(f"block {to} does not come after block {at}", "watch a later block")
        return source, target

    def grow_family(self, base: str) -> None:
        """Sets the form up for the orthogonal family of the vector called `base`."""
        self.fill({"method": "ortho", "base": base, "source": "auto", "vectors": str(METHODS["ortho"].vectors)})
        self._show_method()

    # Inside

    @property
    def _method_name(self) -> str:
        """The chosen method's."""
        return self._field("method").text

    @property
    def _method(self) -> Method:
        """What the chosen method says of itself; MELBO's declaration where it cannot be imported, of which its field tells."""
        try:
            return METHODS.named(self._method_name, "method")
        except SettingsError:
            return METHODS["melbo"]

    def _own_fields(self) -> OwnFields | None:
        """Those of the chosen method; None where it cannot be imported."""
        name = self._method_name
        if name not in self._own:
            from melbo_tui.panes.train.own_fields import OwnFields  # which the first frame does without

            try:
                method = METHODS.named(name, "method")
            except SettingsError:
                return None
            self._own[name] = OwnFields(name, method, self._texts, self._check_base)
        return self._own[name]

    def _show_method(self) -> None:
        """Shows the fields that the method has."""
        for key, field in self._fields.items():
            field.display = _has(self._method, key)
        chosen = self._own_fields()
        if self._completed and chosen is not None:
            for group, place in ((chosen.first, "#own"), (chosen.more, "#own-more")):
                if group is not None and not group.is_attached:
                    self.query_one(place).mount(group)
            for own in self._own.values():
                own.show(own is chosen)

    @on(Field.Changed)
    def _field_changed(self, event: Field.Changed) -> None:
        field = event.field
        own = self._own.get(self._method_name)
        if own is not None and field in own.fields.values():
            own.show(True)  # whether others mean something may hang on it
            self._explain_field(event)
            return
        if field.key == "method":
            self._show_method()
            field.explanation = self._method.summary
            self._field("steps").explanation = steps_explained(self._method)
        if field.key in ("source", "target"):
            self._show_depth()
        if field.key in ("prompt", "system", "template") and self._model is not None:
            self._ask_to_measure()
        if field.key == "tokens":
            self._show_prompt_facts()
        self._explain_field(event)

    @on(Field.Focused)
    def _explain_field(self, event: Field.Changed) -> None:
        field = event.field
        if field.has_focus_within:  # by the time that this is heard, the focus may have gone on
            self._explain(field.wrong or field.explanation, wrong=bool(field.wrong))

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
        if self._field("prompt").text.strip() and self._field("template").check():
            self.post_message(self.PromptChanged(self._prompt()))

    def _prompt(self) -> Prompt:
        """The prompt as the model would be asked it. Raises SettingsError."""
        text, system, template = (self._said(key) for key in ("prompt", "system", "template"))
        return Prompt(text, system=system or None, template=parse_line(template))

    def _field(self, key: str) -> Field:
        return self._fields[key]

    def _said(self, key: str) -> str:
        """What stands in the field; nothing where the method has no such field."""
        return self._field(key).text.strip() if _has(self._method, key) else ""

    def _explain(self, text: str, wrong: bool = False) -> None:
        panel = self.query_one("#explanation", Static)
        panel.set_class(wrong, "-wrong")
        panel.update(text)

    def _show_prompt_facts(self) -> None:
        facts = self.query_one("#prompt-facts", Static)
        if self._measured is None:
            facts.update("")
            return
        tokens = self._measured.tokens
        try:
            seen = parse_tokens(self._field("tokens").text) or tokens
        except SettingsError:
            seen = 0
        facts.update(f"{tokens} tokens, " + ("all seen" if seen >= tokens else f"last {seen} seen"))
        facts.tooltip = Text("the last: " + one_line(" ".join(self._measured.last), 60))

    def _show_depth(self) -> None:
        line = self.query_one("#depth", Static)
        if self._model is None:
            line.update("")
            return
        try:
            source, target = self._blocks()
        except SettingsError as error:
            line.update(Text(str(error), style=self.app.theme_variables["text-error"]))
            return
        auto_source, auto_target = default_blocks(self._model.n_blocks)
        source, target = auto_source if source is None else source, auto_target if target is None else target
        line.update(depth_line(self._model.n_blocks, source, target, 14) + f" {source} → {target}")


def _has(method: Method, field: str) -> bool:
    """Whether the method has a use for the field of that key, one of those that are the same for every method."""
    if field == "radius":
        return method.needs_radius
    return bool(method.steps) if field == "steps" else method.searches or field not in ("target", "vectors")


def depth_line(n_blocks: int, source: int, target: int, width: int) -> str:
    """The model's depth as a line of `width` cells, the stretch between source and target drawn heavy."""
    at, to = (round(i * (width - 1) / max(n_blocks - 1, 1)) for i in (source, target))
    to = max(to, at + 1)
    return "".join("●" if i in (at, to) else "━" if at < i < to else "╌" for i in range(max(width, to + 1)))
