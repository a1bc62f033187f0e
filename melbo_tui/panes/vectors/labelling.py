"""Labelling completions by hand, one after the other, without being shown what the marks say or which vector it was.

They come in a shuffled order: neighbours of one vector would let its coefficient be guessed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from core.evaluation.labelled import Agreement
from melbo_tui.attempts import why_not
from melbo_tui.formatting import NOTHING, answer_of
from melbo_tui.panes.vectors.exchange import ExchangingList
from melbo_tui.widgets.dialog import Dialog
from vectors.annotation import NO, PARTIAL, YES, Annotation
from vectors.plain_text import one_line
from vectors.store.library import Library
from vectors.store.query import Line
from vectors.store.samples import Place, Sample

# What is asked, and the key and the word of each label.
_QUESTIONS: dict[str, tuple[tuple[str, str, str | bool], ...]] = {
    "refusal": (("y", "refuses", YES), ("p", "deflects", PARTIAL), ("n", "does neither", NO)),
    "coherent": (("c", "coherent", True), ("b", "broken", False)),
    "relevant": (("t", "on topic", True), ("o", "off topic", False)),
}
_GONE = "It was sampled again meanwhile, and has another text now: label that one."


def _keys() -> list[Binding]:
    return [
        Binding(key, f"label('{question}', {i})", word.capitalize(), id=f"labels.{word.replace(' ', '_')}")
        for question, answers in _QUESTIONS.items()
        for i, (key, word, _) in enumerate(answers)
    ]


class Labelling(Dialog[Agreement]):
    """Asks for the labels of samples, by their vectors' ids; every label is kept at once. Gives how the marks agree with all.

    They are shuffled, the same ones always alike, and it begins at the first that lacks a label.
    """

    DEFAULT_CSS = """
    /* Opaque: the marks stand in the pane beneath. */
    Labelling { align: center middle; background: $background; }
    Labelling > Vertical {
        width: 84; max-width: 95%; height: 90%; padding: 0 1; background: $surface; border: round $primary;
    }
    .-slim Labelling > Vertical { max-width: 100%; height: 100%; }
    Labelling #asked { height: auto; max-height: 4; margin-bottom: 1; text-style: bold; }
    Labelling #labels { height: 3; margin-top: 1; }
    """
    BINDINGS = [
        *_keys(),
        Binding("enter,right", "next", "Next", id="labels.next"),
        Binding("left", "back", "Back", id="labels.back"),
        Binding("u", "undo", "Undo", id="labels.undo"),
        Binding("up", "scroll(-1)", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("escape", "done", "Done"),
    ]

    def __init__(self, library: Library, samples: Sequence[tuple[str, Sample]]) -> None:
        super().__init__()
        self._library, self._samples = library, sorted(samples, key=_draw)
        self._undo: list[tuple[int, Sample]] = []  # what was labelled here, as it was before
        self._at = self._lacking(0) or 0

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_subtitle = "shuffled · Enter: next · ←: back · u: undo · Esc: done"
            yield Static("", id="asked", markup=False)
            with VerticalScroll(can_focus=False):  # whose arrows are the dialog's
                yield Static("", id="answer", markup=False)
            yield Static("", id="labels", markup=False)

    def on_mount(self) -> None:
        self._show()

    def action_label(self, question: str, answer: int) -> None:
        """Gives the label, or takes it back where it was given already."""
        id, sample = self._samples[self._at]
        before = sample.label or Annotation()
        label = _QUESTIONS[question][answer][2]
        new = {question: None if getattr(before, question) == label else label}
        after = replace(before, **new)  # type: ignore[arg-type]
        kept: list[int] = []
        wrong = why_not(lambda: kept.append(self._library.label({Place.of(id, sample): after})))
        if wrong or not kept[0]:
            self.notify(wrong or _GONE, severity="error", markup=False)
            return
        self._undo.append((self._at, sample))
        self._samples[self._at] = id, replace(sample, label=after if after.to_line() else None)
        self._show()

    def action_undo(self) -> None:
        if not self._undo:
            self.notify("Nothing was labelled here yet.")
            return
        self._at, sample = self._undo.pop()
        if wrong := why_not(self._library.undo):
            self.notify(wrong, severity="error", markup=False)
        else:
            self._samples[self._at] = self._samples[self._at][0], sample
        self._show()

    def action_next(self) -> None:
        """To the next that lacks a label; where no other does it is done."""
        at = self._lacking(self._at + 1)
        if at in (None, self._at):
            self.action_done()
        else:
            self._at = at
            self._show()

    def action_back(self) -> None:
        self._at = max(self._at - 1, 0)
        self._show()

    def action_scroll(self, lines: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=lines, animate=False)

    def action_done(self) -> None:
        self.dismiss(Agreement.of(sample for _, sample in self._samples))

    def _lacking(self, start: int) -> int | None:
        """The first that lacks a label, from `start` to the last and then from the first."""
        order = (*range(start, len(self._samples)), *range(start))
        return next((i for i in order if _lacks(self._samples[i][1])), None)

    def _show(self) -> None:
        _, sample = self._samples[self._at]
        labelled = sum(not _lacks(one) for _, one in self._samples)
        box = self.query_one(Vertical)
        box.border_title = f"Label · completion {self._at + 1} of {len(self._samples)} · {labelled} labelled"
        self.query_one("#asked", Static).update(f"“{one_line(sample.prompt, 300)}”")
        self.query_one("#answer", Static).update(answer_of(sample.completion).strip() or NOTHING)
        self.query_one("#labels", Static).update(self._labels(sample.label or Annotation()))
        self.query_one(VerticalScroll).scroll_home(animate=False)

    def _labels(self, given: Annotation) -> Text:
        """The questions with their keys, what was answered in the theme's colour."""
        theme, lines = self.app.theme_variables, []
        for question, answers in _QUESTIONS.items():
            line = Text(f"{question:<10}", "dim")
            for key, word, label in answers:
                chosen = getattr(given, question) == label
                line.append(f"{'●' if chosen else ' '} {key} {word:<14}", f"bold {theme['text-success']}" if chosen else "")
            lines.append(line)
        return Text("\n").join(lines)


def _draw(place: tuple[str, Sample]) -> bytes:
    """A random place in the order, drawn from the vector's id, the prompt and the coefficient alone: a sample that is added,
    or labelled, moves no other.
    """
    id, sample = place
    return sha256(repr((id, sample.prompt, sample.coefficient)).encode(errors="surrogatepass")).digest()


def _lacks(sample: Sample) -> bool:
    return sample.label is None or None in (sample.label.refusal, sample.label.coherent, sample.label.relevant)


class LabellingList(ExchangingList):
    """The list, with the key that labels the samples of its vectors."""

    BINDINGS = [
        Binding(
            "L",
            "label",
            "Label",
            show=False,
            id="vectors.label",
            tooltip="Label completions by hand, one after the other, shuffled",
        )
    ]

    def action_label(self) -> None:
        """Labels the samples of what is marked or, where nothing is, of all that is listed, shuffled."""
        samples: dict[str, list[Sample]] = {}
        if not self.attempt(lambda: samples.update(self.host.library.all_samples())):
            return
        found = [(id, sample) for id in self._ids() for sample in samples.get(id, ())]
        if found:
            self.app.push_screen(Labelling(self.host.library, found), self._labelled)
        else:
            self.notify("No completion to label: space samples a vector.")

    def _ids(self) -> list[str]:
        if self._table.marked:
            return [entry.id for entry in self.picked()]
        return [row.entry.id for row in self._table.rows if isinstance(row, Line)]

    def _labelled(self, agreement: Agreement | None) -> None:
        self.refresh_list()
        self.attempt(self._read_samples)
        self._show_detail()
        if agreement is not None and agreement.labelled:
            self.notify(f"{agreement}.")
