"""Vectors out of the list into files, and files into it."""

from __future__ import annotations

from pathlib import Path

from textual.binding import Binding

from melbo_tui.panes.vector_list import VectorList, called
from melbo_tui.widgets.dialogs import Ask
from vectors import exchange
from vectors.formats import writer_of
from vectors.formats.raw import Reading
from vectors.given_path import file_to_write, given_path
from vectors.index import LibraryError
from vectors.plain_text import natural
from vectors.vector import VectorError


class ExchangingList(VectorList):
    """The list, whose vectors can be exported and which takes in others."""

    BINDINGS = [
        Binding("e", "export", "Export", show=False, id="vectors.export", tooltip="Write to a file"),
        Binding("i", "import", "Import", show=False, id="vectors.import", tooltip="Take in a file"),
    ]

    def action_export(self) -> None:
        picked = self.chosen()
        if not picked:
            return

        def check(text: str) -> str:
            try:
                path = file_to_write(text)
                if path.suffix.lower() != ".json":
                    writer_of(path)
            except VectorError as error:
                return str(error)
            return "there is such a file already: choose another name" if path.exists() else ""

        def done(text: str | None) -> None:
            if text is None:
                return
            path = Path(text).expanduser()  # as it was checked
            if self.attempt(lambda: exchange.export(self.melbo.library, [(entry.id, 1.0) for entry in picked], path)):
                self.notify(f"{called(picked)} written to {path}", markup=False)

        hint = ".safetensors with all that is known, .gguf for llama.cpp and repeng, .npy, or .json for recipes"
        self.app.push_screen(Ask(f"Export {called(picked)} to", f"{picked[0].name}.safetensors", hint, check), done)

    def action_import(self) -> None:
        def done(text: str | None) -> None:
            if text is not None:
                self._take_in(text)

        hint = "safetensors, .pt, .npy, .gguf, .svec, .json recipes, or a refusal_direction folder"
        self.app.push_screen(Ask("Import a file", "", hint), done)

    def _take_in(self, file: str, block: str = "") -> None:
        model = self.melbo.model.label if self.melbo.model is not None else ""

        def with_block(text: str | None) -> None:
            if text is not None:
                self._take_in(file, text)

        try:
            how = Reading(int(block), model) if block else Reading()
            taken = exchange.take_in(self.melbo.library, given_path(file), how)
        except (LibraryError, VectorError) as error:
            # A file of bare numbers says nothing of where they act, but its user may know.
            if not block and "the block" in str(error):
                check = lambda text: "a block's number, counted from 0" if natural(text) is None else ""  # noqa: E731
                question = f"Which block's output does {Path(file).name} act on?"
                self.app.push_screen(Ask(question, "", str(error), check), with_block)
            else:
                self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"Imported {len(taken)}: {', '.join(entry.name for entry in taken[:4])}", markup=False)
        self.refresh_list(to=taken[0].id)
