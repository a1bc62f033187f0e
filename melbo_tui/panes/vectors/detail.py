"""All about one vector: where it came from, its losses, its samples, what is near it, what people think of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static, TextArea

from core.engine.events import LensRead
from core.evaluation.judging import judge
from core.evaluation.labelled import Agreement
from core.template_arguments import arguments_of, written
from melbo_tui.charts import sparkline
from melbo_tui.formatting import answer_of, figures, labels_of, story
from melbo_tui.widgets.thought import thought
from vectors.completion import NO_ANSWER
from vectors.plain_text import one_line
from vectors.store.library import Kept, Sample

_QUIET = {"recipe", "raw", "template", "draw", "init"}


@dataclass
class Facts:
    """What is known of a vector beside its entry; parts that take time arrive later."""

    losses: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    recipe: str = ""
    neighbours: list[tuple[str, float]] | None = None
    lens: LensRead | None = None


class NoteEditor(TextArea):
    """A note, written where it is read. Escape, or going elsewhere, is done with it: nothing has to be saved by hand."""

    class Written(Message):
        def __init__(self, id: str, note: str) -> None:
            super().__init__()
            self.vector, self.note = id, note

    BINDINGS = [Binding("escape", "done", "Done")]

    def __init__(self) -> None:
        super().__init__(id="note", soft_wrap=True, tab_behavior="focus", show_line_numbers=False)
        self._entry: Kept | None = None
        self._before: Widget | None = None
        self.display = False

    def write_on(self, entry: Kept) -> None:
        self._entry, self._before = entry, self.screen.focused
        self.text = entry.note
        self.border_title = Text(f"note on {entry.name} · Esc: done")
        self.display = True
        self.move_cursor(self.document.end)
        self.focus()

    def action_done(self) -> None:
        self.screen.set_focus(self._before)

    def written(self) -> tuple[str, str] | None:
        """The id of the vector and its note, where one was being written and is new; after that, none is."""
        entry, self._entry = self._entry, None
        self.display = False
        note = self.text.strip()
        return (entry.id, note) if entry is not None and note != entry.note else None

    def on_blur(self) -> None:
        if new := self.written():
            self.post_message(self.Written(*new))


class VectorDetail(VerticalScroll):
    """Shows one vector; `show(None)` an empty page."""

    DEFAULT_CSS = """
    VectorDetail NoteEditor { height: auto; max-height: 8; border: round $primary; }
    """

    def compose(self) -> ComposeResult:
        yield NoteEditor()
        yield Static("", id="detail-text", markup=False)

    def edit_note(self, entry: Kept) -> None:
        self.scroll_home(animate=False)
        self.query_one(NoteEditor).write_on(entry)

    def show(
        self, entry: Kept | None, facts: Facts, streaming: dict[tuple[str, float], Sample], unfolded: bool = False
    ) -> None:
        """`streaming` are samples that are being made, by prompt and coefficient; `unfolded`: thoughts stand whole."""
        text = Text()
        if entry is not None:
            self._about(text, entry, facts)
            self._samples(text, facts, streaming, unfolded)
            self._around(text, facts)
            self._settings(text, entry)
        self.query_one("#detail-text", Static).update(text)

    def _about(self, text: Text, entry: Kept, facts: Facts) -> None:
        theme = self.app.theme_variables
        text.append(entry.name, "bold")
        text.append("  ★" if entry.kept else "", theme["text-warning"])
        if entry.rating is not None:
            text.append(f"  {'•' * entry.rating or 'rated 0'}", theme["text-warning"])
        text.append("\n")
        if entry.tags:
            text.append(" ".join(f"#{tag}" for tag in entry.tags) + "\n", theme["text-accent"])
        if entry.note:
            text.append(entry.note + "\n", "italic")
        text.append(story(entry) + "\n", "dim")
        if template := arguments_of(entry.origin):
            text.append(f"template {written(template)}\n", "dim")
        if facts.recipe:
            text.append("= " + facts.recipe + "\n")
        if facts.losses:
            after = [] if entry.origin.loss is None else [entry.origin.loss]  # the losses are those before each step
            path = [*facts.losses, *after]
            text.append(f"loss {path[0]:.4g} ", "dim")
            text.append(sparkline(path, 24), theme["primary"])
            text.append(f" {path[-1]:.4g} in {len(facts.losses)} steps\n", "dim")

    def _samples(self, text: Text, facts: Facts, streaming: dict[tuple[str, float], Sample], unfolded: bool) -> None:
        samples = {(s.prompt, s.coefficient): s for s in facts.samples} | streaming
        if not samples:
            text.append("\nNo sample yet. space: sample it at coefficients -1, 0, 1 and 2; ", "dim")
            text.append("p: on another prompt\n", "dim")
        prompt = None
        for (asked, coefficient), sample in sorted(samples.items(), key=lambda item: item[0]):
            if asked != prompt:
                prompt = asked
                text.append(f"\n“{one_line(asked, 120)}”\n", "bold")
            text.append(f"{coefficient:+g}  " if coefficient else " 0  ", "bold " + self.app.theme_variables["primary"])
            completion = sample.completion
            text.append_text(thought(completion.thought, completion.thought_tokens, unfolded))
            text.append(f"({NO_ANSWER})" if completion.thinking else answer_of(completion).strip())
            marks = [verdict] if (verdict := judge(completion, asked).verdict) not in ("", NO_ANSWER) else []
            text.append("".join(f"  {fact}" for fact in [*marks, *figures(completion)]), "dim")
            text.append(
                f"  labelled: {labels_of(sample.label)}" if sample.label is not None else "",
                self.app.theme_variables["text-accent"],
            )
            text.append("\n")
        if (agreement := Agreement.of(facts.samples)).labelled:
            text.append(f"\n{agreement}\n", "dim")

    def _settings(self, text: Text, entry: Kept) -> None:
        """The settings that are not the method's own defaults."""
        told = {k: v for k, v in entry.origin.settings.items() if k not in _QUIET and v is not None and v is not False}
        usual = _defaults(entry.origin.method)
        settings = [name if value is True else f"{name} {value}" for name, value in told.items() if usual.get(name) != value]
        if settings:
            text.append("settings  ", "bold")
            text.append(one_line(", ".join(settings), 400) + "\n", "dim")

    def _around(self, text: Text, facts: Facts) -> None:
        if facts.neighbours:
            text.append("\nnearest  ", "bold")
            text.append(", ".join(f"{name} {cosine:+.2f}" for name, cosine in facts.neighbours) + "\n")
        if facts.lens is not None:
            for title, tokens in (("raises", facts.lens.raised), ("lowers", facts.lens.lowered)):
                text.append(f"{title}  ", "bold")
                text.append(" ".join(f"{token} {value:+.1f}" for token, value in tokens[:8]) + "\n")
            text.append("the logit lens, a hint only: it leaves out all later blocks\n", "dim")


def _defaults(method: str) -> dict[str, object]:
    """What the settings of a run of `method` are where nobody gave any; none of a method that is not known here."""
    from core.discovery import METHODS  # with the declarations, which the first frame does without

    if method not in METHODS:
        return {}
    return {name: setting.default for name, setting in METHODS[method].options.items()}
