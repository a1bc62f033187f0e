"""The workbench: marked vectors, a coefficient each, and the mixture they make, sampled before it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Button, Input, Label, Static

from melbo_tui.attempts import why_not
from melbo_tui.widgets.dialog import Dialog
from vectors.block_ranges import places
from vectors.recipe import Recipe
from vectors.store.index import LibraryError
from vectors.store.library import Kept, Library
from vectors.vector import SteeringVector, VectorError

# Generates under a vector; the second argument is given the text as it comes.
Generate = Callable[[SteeringVector, Callable[[str], None]], None]


class Workbench(Dialog[Kept | None]):
    """Gives the mixture that was kept, or None."""

    DEFAULT_CSS = """
    Workbench { align: center middle; }
    Workbench > Vertical {
        width: 84; max-width: 98%; height: auto; max-height: 96%; padding: 0 1; background: $surface; border: round $primary;
    }
    Workbench .terms { height: auto; max-height: 10; }
    Workbench .term, Workbench .row { height: 1; }
    Workbench .term Input, Workbench #norm { width: 12; }
    Workbench .row { margin-top: 1; }
    Workbench .row Label { width: 12; color: $text-muted; }
    Workbench .term Label { width: 1fr; padding-left: 1; }
    Workbench #mixture-name { width: 1fr; }
    Workbench Button { margin-right: 1; min-width: 10; }
    Workbench #facts { height: auto; min-height: 2; margin-top: 1; }
    Workbench #preview { height: auto; max-height: 6; margin-top: 1; color: $text-muted; }
    """
    BINDINGS = [("escape", "dismiss(None)", "Cancel")]

    def __init__(self, library: Library, entries: Sequence[Kept], generate: Generate | None) -> None:
        super().__init__()
        self._library, self._entries, self._generate = library, list(entries), generate
        self._names = {entry.id: entry.name for entry in entries}

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = "Mix"
            box.border_subtitle = "Tab moves · Esc cancels"
            with VerticalScroll(classes="terms", can_focus=False):
                for i, entry in enumerate(self._entries):
                    with Horizontal(classes="term"):
                        yield Input("1", id=f"coefficient-{i}", compact=True)
                        yield Label(Text(f"x {entry.name}  (norm {entry.norm:.3g}, {places(entry.blocks)})"))
            with Horizontal(classes="row"):
                yield Label("at norm")
                yield Input("", id="norm", placeholder="as it is", compact=True)
            with Horizontal(classes="row"):
                yield Label("name")
                yield Input("", id="mixture-name", placeholder="the recipe", compact=True)
            yield Static("", id="facts", markup=False)
            yield Static("", id="preview", markup=False)
            with Horizontal(classes="row"):
                yield Button("Average", id="average", compact=True)
                yield Button("Negate", id="negate", compact=True)
                yield Button("Sample", id="sample", compact=True, disabled=self._generate is None)
                yield Button("Keep", id="keep", variant="primary", compact=True)

    def on_mount(self) -> None:
        self._show()

    @on(Input.Changed)
    def _changed(self) -> None:
        self._show()

    @on(Input.Submitted)
    def _submitted(self) -> None:
        self.focus_next()

    @on(Button.Pressed, "#average")
    def _average(self) -> None:
        for i in range(len(self._entries)):
            self._coefficient(i).value = f"{1 / len(self._entries):.6g}"

    @on(Button.Pressed, "#negate")
    def _negate(self) -> None:
        for i in range(len(self._entries)):
            field = self._coefficient(i)
            text = field.value.strip()
            field.value = text[1:] if text.startswith("-") else f"-{text}"

    @on(Button.Pressed, "#sample")
    def _sample(self) -> None:
        vector = self._mixed()
        if isinstance(vector, SteeringVector) and self._generate is not None:
            preview = self.query_one("#preview", Static)
            preview.update("…")
            self._generate(vector, lambda text: preview.update(text.strip()) if preview.is_attached else None)

    @on(Button.Pressed, "#keep")
    def _keep(self) -> None:
        vector = self._mixed()
        if isinstance(vector, SteeringVector):
            name = self.query_one("#mixture-name", Input).value.strip()
            saved: list[Kept] = []
            recipe = self._recipe()
            wrong = why_not(lambda: saved.append(self._library.save_mixture(recipe, name or recipe.written(self._names))))
            if wrong:
                self.query_one("#facts", Static).update(Text(wrong, self.app.theme_variables["text-error"]))
            else:
                self.dismiss(saved[0])

    def _coefficient(self, i: int) -> Input:
        return self.query_one(f"#coefficient-{i}", Input)

    def _recipe(self) -> Recipe:
        """What the fields say. Raises VectorError where that is no recipe."""
        terms = []
        for i, entry in enumerate(self._entries):
            coefficient = _number(self._coefficient(i).value, f"the coefficient of {entry.name}")
            if coefficient:
                terms.append((entry.id, coefficient))
        norm = self.query_one("#norm", Input).value.strip()
        return Recipe(tuple(terms), _number(norm, "the norm") if norm else None)

    def _mixed(self) -> SteeringVector | str:
        """The mixture, or why there is none."""
        try:
            return self._recipe().computed(self._library.load)
        except (LibraryError, VectorError) as error:
            return str(error)

    def _show(self) -> None:
        mixed = self._mixed()
        text = Text()
        if isinstance(mixed, str):
            text.append(mixed, self.app.theme_variables["text-error"])
        else:
            recipe = self._recipe()
            text.append(recipe.written(self._names))
            text.append(f"\nnorm {mixed.norm:.4g}", "bold")
            # One that is not in the mixture may be unreadable, or another model's.
            parents = [self._library.load(id) for id, _ in recipe.terms[:6]]
            text.append("   cosine to " + ", ".join(f"{v.name} {mixed.cosine(v):+.2f}" for v in parents), "dim")
        self.query_one("#facts", Static).update(text)
        for button in ("#keep", "#sample"):
            off = isinstance(mixed, str) or (button == "#sample" and self._generate is None)
            self.query_one(button, Button).disabled = off


def _number(text: str, what: str) -> float:
    try:
        return float(text.strip())
    except ValueError:
        raise VectorError(f"{what} is no number") from None
