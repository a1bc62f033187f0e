"""The form of a new run: few fields, each explained and checked while one types."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.events import DescendantFocus
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Button, Collapsible, Input, Static

from core.discovery import METHODS
from core.engine.events import ModelLoaded, PromptMeasured
from core.engine.requests import Train
from core.errors import SettingsError
from core.model.source import default_blocks
from core.prompt import Prompt
from core.segment.objective_tokens import parse_tokens
from core.template_arguments import parse_line
from melbo_tui.panes.train.fields import (
    ONLY_FOR,
    SEARCHES,
    first_fields,
    more_fields,
    name_or_none,
    penalty,
    radius,
    whole,
)
from melbo_tui.typed_prompts import typed_prompts
from melbo_tui.widgets.field import Check, Field
from melbo_tui.widgets.prompt_entry import PromptEntry
from vectors.plain_text import one_line


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
        self._model: ModelLoaded | None = None
        self._measured: PromptMeasured | None = None
        self._trouble = ""

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="fields", can_focus=False):
            yield from self._filled(first_fields(self._texts.get("prompt", ""), self._check_base))
            with Collapsible(title="More settings", id="more", collapsed=self.app.size.height < 34):
                yield from self._filled(more_fields())
        yield Static("", id="explanation", markup=False)
        with Horizontal(id="buttons"):
            yield Button("Start", variant="primary", id="start", compact=True)
            yield Button("Pause", id="pause", compact=True, disabled=True)
            yield Button("Cancel", id="cancel", compact=True, disabled=True)

    def _filled(self, widgets: Iterable[Widget]) -> Iterator[Widget]:
        """The fields among them hold their texts; those that the method has no use for are not displayed."""
        method = self._texts.get("method", "")
        for widget in widgets:
            if isinstance(widget, Field):
                text = str(self._texts.get(widget.key, widget.text))
                if text != widget.text:
                    widget.text = text
                widget.display = _has(method if method in METHODS else "melbo", widget.key)
            yield widget

    async def complete(self) -> None:
        """Composes what the first frame did without, and marks the fields whose texts cannot be."""
        for field in self.query(Field):
            await field.complete()
            if field.key in self._texts:
                field.check()

    def on_mount(self) -> None:
        self._explain(METHODS[self._method].summary)

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
        return {field.key: field.text for field in self.query(Field)}

    def fill(self, texts: dict[str, str]) -> None:
        for field in self.query(Field):
            if field.key in texts:
                field.text = str(texts[field.key])

    def start(self) -> None:
        """Posts the request, or shows what is wrong and goes there."""
        self._trouble = ""
        try:
            request = self.request()
        except SettingsError as error:
            wrong = next((field for field in self.query(Field) if field.wrong), None)
            if wrong is not None:
                wrong.entry.focus()
            self._explain(str(error) + (f": {error.remedy}" if error.remedy else ""), wrong=True)
            return
        self._explain(METHODS[self._method].summary)
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
        for field in self.query(Field):
            if field.display and not field.check():  # what the method has no use for may be anything
                raise SettingsError(f"{field.wrong}")
        text = {key: self._said(key) for key in self.texts()}
        tell = lambda line: self.notify(line, markup=False)  # noqa: E731
        source, target = self._blocks()
        method = self._method
        settings = {
            "optimizer": text["optimizer"], "orthogonal": text["orthogonal"] == "yes", "base": text["base"],
            "norm_penalty": penalty(text["norm_penalty"]), "positive": typed_prompts(text["positive"], tell),
            "negative": typed_prompts(text["negative"], tell), "select": text["select"] == "yes",
        }  # fmt: skip
        if method == "contrast" and not (settings["positive"] and settings["negative"]):
            raise SettingsError("a contrast needs prompts of both kinds", "fill in More of and Less of, one prompt a line")
        searches = method in SEARCHES
        return Train(
            prompts=(self._prompt(),),
            source=source,
            target=target,
            radius=radius(text["radius"]),
            vectors=int(text["vectors"]) if searches else None,
            steps=whole(1, auto=True)(text["steps"]) if searches else None,
            seed=int(text["seed"]),
            method=method,
            settings={name: value for name, value in settings.items() if method in ONLY_FOR[name] and value is not None},
            tokens=text["tokens"],
            name=name_or_none(text["name"]),
            thought_tokens=int(text["thought_tokens"]),
        )

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
    def _method(self) -> str:
        chosen = self._field("method").text
        return chosen if chosen in METHODS else "melbo"

    def _show_method(self) -> None:
        """Shows the fields that the method has."""
        for field in self.query(Field):
            field.display = _has(self._method, field.key)

    @on(Field.Changed)
    def _field_changed(self, event: Field.Changed) -> None:
        field = event.field
        if field.key == "method":
            self._show_method()
            field.explanation = METHODS[self._method].summary
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
            self._explain(self._trouble or METHODS[self._method].summary, wrong=bool(self._trouble))

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
        return self.query_one(f"#field-{key}", Field)

    def _said(self, key: str) -> str:
        """What stands in the field; nothing where the method has no such field."""
        field = self._field(key)
        return field.text.strip() if field.display else ""

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


def _has(method: str, field: str) -> bool:
    """Whether the method has a use for the field."""
    return METHODS[method].needs_radius if field == "radius" else method in ONLY_FOR.get(field, METHODS)


def depth_line(n_blocks: int, source: int, target: int, width: int) -> str:
    """The model's depth as a line of `width` cells, the stretch between source and target drawn heavy."""
    at, to = (round(i * (width - 1) / max(n_blocks - 1, 1)) for i in (source, target))
    to = max(to, at + 1)
    return "".join("●" if i in (at, to) else "━" if at < i < to else "╌" for i in range(max(width, to + 1)))
