"""Vectors out of the list into files, and files into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textual.binding import Binding

from core.model.config import stamp_of
from melbo_tui.attempts import why_not
from melbo_tui.panes.vectors.vector_list import VectorList, called
from melbo_tui.widgets.dialogs import Ask
from vectors import exchange
from vectors.errors import FileTaken
from vectors.files.given_path import file_to_write, given_path
from vectors.formats import suffixes, writer_of
from vectors.formats.raw import MissingBlock, Reading
from vectors.plain_text import natural
from vectors.store.library import Kept
from vectors.vector import ModelStamp, SteeringVector, VectorError


class ExchangingList(VectorList):
    """The list, whose vectors can be exported and which takes in others."""

    BINDINGS = [
        Binding("e", "export", "Export", show=False, id="vectors.export", tooltip="Write to a file"),
        Binding(
            "E",
            "export_expression",
            "Export a sum",
            show=False,
            id="vectors.export_expression",
            tooltip="Write a sum, or a part",
        ),
        Binding("i", "import", "Import", show=False, id="vectors.import", tooltip="Import a file"),
    ]

    def action_export(self) -> None:
        picked = self.chosen()
        if picked:
            library = self.host.library
            self._export(lambda: [library.load(entry.id) for entry in picked], called(picked), picked[0].name)

    def action_export_expression(self) -> None:
        """Asks for an expression, whose vector is exported."""
        from melbo_tui.panes.vectors import typed  # with the grammar, which the first frame does without

        typed.export(self, self.current(), lambda one: self._export(lambda: [one], one.name, one.name if one.id else "sum"))

    def _export(self, load: Callable[[], list[SteeringVector]], whom: str, name: str) -> None:
        """Asks for the file that what `load` gives is written to."""

        def check(text: str) -> str:
            try:
                path = file_to_write(text)
                if path.suffix.lower() != ".json":
                    writer_of(path)
            except FileTaken as error:
                return f"{error}: choose another name"
            except VectorError as error:
                return str(error)
            return ""

        def write(text: str) -> str:
            return why_not(lambda: exchange.export(self.host.library, load(), Path(text).expanduser()))

        def done(text: str | None) -> None:
            if text is not None:
                self.notify(f"{whom} written to {Path(text).expanduser()}", markup=False)

        written = ", ".join(suffixes("write"))
        hint = f"{written}, or .json for recipes. .safetensors holds all that is known; llama.cpp and repeng read .gguf."
        self.app.push_screen(Ask(f"Export {whom} to", f"{name}.safetensors", hint, check, write), done)

    def action_import(self) -> None:
        Importing(self).ask_file()

    def imported(self, taken: list[Kept]) -> None:
        """Tells what has come in, and goes there."""
        unknown = sorted({entry.model for entry in taken if not entry.origin.model.n_blocks})
        told = f"Imported {len(taken)}: {', '.join(entry.name for entry in taken[:4])}"
        if unknown:
            told += f"\n{unknown[0]} is unknown here: block and width were not checked."
        self.notify(told, markup=False, timeout=12 if unknown else 5)
        self.refresh_list(to=taken[0].id)

    def model_called(self, text: str) -> ModelStamp:
        """The model that a user names: the loaded one, one whose vectors are here, or any that can be loaded."""
        model = self.host.model
        if model is not None and text in (model.label, model.name, self.host.spec.model):
            return ModelStamp(model.name, model.d_model, model.n_blocks, "", "", model.adapter)
        return self.host.library.stamp(text) or stamp_of(self.host.spec_of(text))


class Importing:
    """One import, with a dialog for each thing that the file does not say itself; each stays until its answer will do."""

    def __init__(self, pane: ExchangingList) -> None:
        self._pane = pane
        self._file = ""
        self._block: int | None = None
        self._model: ModelStamp | None = None
        self._missing: VectorError | None = None
        self._taken: list[Kept] = []

    def ask_file(self) -> None:
        def attempt(text: str) -> str:
            self._file = text
            return self._attempt()

        self._ask("Import a file", "", f"{', '.join(suffixes('read'))}, .json recipes, or a refusal_direction folder", attempt)

    def _ask_block(self) -> None:
        def attempt(text: str) -> str:
            self._block = natural(text)
            return self._attempt() if self._block is not None else "a block's number, counted from 0"

        self._ask(f"Which block's output does {Path(self._file).name} act on?", "", str(self._missing), attempt)

    def _ask_model(self) -> None:
        def attempt(text: str) -> str:
            return why_not(lambda: setattr(self, "_model", self._pane.model_called(text))) or self._attempt()

        model = self._pane.host.model
        hint = f"{self._missing}\nThe loaded model, another whose vectors are here, a folder, a .gguf file or a hub id."
        name = Path(self._file).name
        self._ask(f"Which model are the vectors of {name} of?", model.label if model is not None else "", hint, attempt)

    def _ask(self, question: str, value: str, hint: str, attempt: Callable[[str], str]) -> None:
        def done(text: str | None) -> None:
            if text is None:
                return
            if self._missing is None:
                self._pane.imported(self._taken)
            elif self._model is None:  # before the block, which is held against it
                self._ask_model()
            else:
                self._ask_block()

        self._pane.app.push_screen(Ask(question, value, hint, attempt=attempt, slowly=True), done)

    def _attempt(self) -> str:
        """Takes the file in; gives what is wrong with it, or nothing, also where something of it has still to be asked."""
        self._missing = None

        def take_in() -> None:
            try:
                how = Reading(self._block, self._model)
                self._taken = exchange.take_in(self._pane.host.library, given_path(self._file), how)
            except (MissingBlock, exchange.MissingModel) as error:
                self._missing = error

        return why_not(take_in)
