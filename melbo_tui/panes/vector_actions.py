"""What can be done to vectors and with them: curate, mix, compare, hear, steer, exchange."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from core.requests import ReadLens, Reply, ReplyRow
from core.steering import SteerTerm
from melbo_tui.messages import GrowFamily, SteerWith
from melbo_tui.panes.compare import Compare
from melbo_tui.panes.pane import Pane
from melbo_tui.panes.workbench import Made, Workbench
from melbo_tui.widgets.dialogs import Ask
from vectors import exchange
from vectors.formats import writer_of
from vectors.formats.raw import Reading
from vectors.index import LibraryError
from vectors.library import Kept
from vectors.query import Line
from vectors.vector import SteeringVector, VectorError

_COEFFICIENTS = (-1.0, 0.0, 1.0, 2.0)
_SAMPLE_TOKENS = 48


class VectorActions(Pane):
    """Actions on `picked()`, the marked vectors or the one under the cursor. A subclass shows the list."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._lines: list[Line] = []
        self._hearing: dict[int, tuple[str, str]] = {}  # task: the vector's id and the prompt
        self._previews: dict[int, Callable[[str], None]] = {}

    def current(self) -> Kept | None:
        """The vector under the cursor."""
        raise NotImplementedError

    def picked(self) -> list[Kept]:
        """What actions are done to."""
        raise NotImplementedError

    def refresh_list(self, to: str | None = None) -> None:
        """Shows the library as it is now, the cursor on the vector `to` where one is given."""
        raise NotImplementedError

    # What people think of vectors

    def action_rate(self, rating: int) -> None:
        self._change(lambda ids: self.melbo.library.rate(ids, rating))

    def action_keep(self) -> None:
        entry = self.current()
        if entry is not None:
            self._change(lambda ids: self.melbo.library.keep(ids, not entry.kept))

    def action_tag(self) -> None:
        picked = self.picked()

        def done(text: str | None) -> None:
            words = (text or "").replace(",", " ").split()
            add, remove = [w for w in words if not w.startswith("-")], [w[1:] for w in words if w.startswith("-")]
            if words:
                self._change(lambda ids: self.melbo.library.tag(ids, add, remove))

        if picked:
            known = sorted({tag for line in self._lines for tag in line.entry.tags})
            hint = "Words; one with a - before it is taken off." + (f" There are: {' '.join(known[:30])}" if known else "")
            self.app.push_screen(Ask(f"Tag {_called(picked)}", "", hint), done)

    def action_rename(self) -> None:
        entry = self.current()
        if entry is not None:
            self.ask_name(entry.id, entry.name, lambda given: self.refresh_list())

    def action_note(self) -> None:
        entry = self.current()
        if entry is None:
            return

        def done(note: str | None) -> None:
            if note is not None and self.attempt(lambda: self.melbo.library.note(entry.id, note)):
                self.refresh_list()

        self.app.push_screen(Ask(f"Note on {entry.name}", entry.note), done)

    def action_delete(self) -> None:
        picked = self.picked()
        if picked and self._change(self.melbo.library.delete):
            self.notify(f"{_called(picked)} in the trash; u brings back what was deleted.", markup=False)

    def action_undo(self) -> None:
        undone: list[str | None] = []
        if self.attempt(lambda: undone.append(self.melbo.library.undo())):
            self.notify(f"Taken back: {undone[0]}." if undone[0] else "Nothing was changed in this sitting.", markup=False)
            self.refresh_list()

    def _change(self, change: Callable[[list[str]], object]) -> bool:
        """Does `change` to what is picked, and shows the list as it is then."""
        picked = self.picked()
        if not picked or not self.attempt(lambda: change([entry.id for entry in picked])):
            return False
        self.refresh_list()
        return True

    # Using vectors

    def action_steer(self) -> None:
        if picked := self.picked():
            self.post_message(SteerWith(tuple(entry.id for entry in picked)))

    def action_family(self) -> None:
        entry = self.current()
        if entry is not None:
            self.post_message(GrowFamily(entry.name))

    def action_lens(self) -> None:
        vector = self._loaded(self.current())
        if vector is not None and self._model_is_there():
            self.melbo.engine.submit(ReadLens(vector))

    def action_hear(self) -> None:
        entry = self.current()
        if entry is not None:
            trained = entry.prompt if entry.prompt and not entry.prompt.startswith("token ids ") else ""
            self._hear(entry, trained or self.melbo.settings.prompt)

    def action_hear_on(self) -> None:
        entry = self.current()
        if entry is None:
            return

        def done(prompt: str | None) -> None:
            if prompt is not None:
                self.melbo.remember(sample_prompt=prompt)
                self._hear(entry, prompt)

        self.app.push_screen(Ask(f"Hear {entry.name} on", self.melbo.settings.sample_prompt, "A prompt of yours."), done)

    def _hear(self, entry: Kept, prompt: str) -> None:
        if (entry.id, prompt) in self._hearing.values():
            return
        vector = self._loaded(entry)
        if vector is not None and self._model_is_there():
            system = entry.origin.system
            messages = ((("system", system),) if system else ()) + (("user", prompt),)
            rows = tuple(
                ReplyRow(str(c), messages, (SteerTerm(vector, c),) if c else (), max_new_tokens=_SAMPLE_TOKENS)
                for c in _COEFFICIENTS
            )
            self._hearing[self.melbo.engine.submit(Reply(rows))] = entry.id, prompt

    def action_compare(self) -> None:
        picked = self.picked()
        here = self.current()
        if len(picked) == 1 and here is not None and here.id != picked[0].id:
            picked = [*picked, here]
        if len(picked) != 2:
            self.notify("Mark two vectors with x, or mark one and go to the other.")
        else:
            self.attempt(lambda: self.app.push_screen(Compare(self.melbo.library, *picked)))

    def action_mix(self) -> None:
        picked = self.picked()[:12]
        if not picked:
            return

        def done(made: Made | None) -> None:
            if made is not None:
                saved: list[Kept] = []
                if self.attempt(lambda: saved.append(self.melbo.library.save_mixture(*made))):
                    self.notify(f"Kept {saved[0].name}; u takes it back.", markup=False)
                    self.refresh_list(to=saved[0].id)

        hear = self._preview if self.melbo.model is not None else None
        self.app.push_screen(Workbench(self.melbo.library, picked, hear), done)

    def _preview(self, vector: SteeringVector, show: Callable[[str], None]) -> None:
        row = ReplyRow("preview", (("user", self.melbo.settings.prompt),), (SteerTerm(vector),), max_new_tokens=_SAMPLE_TOKENS)
        self._previews[self.melbo.engine.submit(Reply((row,)))] = show

    # Exchange

    def action_export(self) -> None:
        picked = self.picked()
        if not picked:
            return

        def check(text: str) -> str:
            path = Path(text).expanduser()
            try:
                if path.suffix.lower() != ".json":
                    writer_of(path)
            except VectorError as error:
                return str(error)
            return "" if path.parent.is_dir() else "its folder does not exist"

        def done(text: str | None) -> None:
            if text is None:
                return
            path = Path(text).expanduser()
            if self.attempt(lambda: exchange.export(self.melbo.library, [(entry.id, 1.0) for entry in picked], path)):
                self.notify(f"{_called(picked)} written to {path}", markup=False)

        hint = ".safetensors with all that is known, .gguf for llama.cpp and repeng, .npy, or .json for recipes"
        self.app.push_screen(Ask(f"Export {_called(picked)} to", f"{picked[0].name}.safetensors", hint, check), done)

    def action_import(self) -> None:
        def done(text: str | None) -> None:
            if text is not None:
                self._take_in(Path(text).expanduser(), Reading())

        hint = "safetensors, .pt, .npy, .gguf, .svec, .json recipes, or a refusal_direction folder"
        self.app.push_screen(Ask("Import a file", "", hint), done)

    def _take_in(self, path: Path, how: Reading) -> None:
        model = self.melbo.model.name if self.melbo.model is not None else ""

        def with_block(text: str | None) -> None:
            if text is not None:
                self._take_in(path, Reading(int(text), model))

        try:
            taken = exchange.take_in(self.melbo.library, path, how)
        except (LibraryError, VectorError) as error:
            # A file of bare numbers says nothing of where they act, but its user may know.
            if how.block is None and "the block" in str(error):
                check = lambda text: "" if text.isdecimal() else "a block's number, counted from 0"  # noqa: E731
                self.app.push_screen(Ask(f"Which block's output does {path.name} act on?", "", str(error), check), with_block)
            else:
                self.notify(str(error), severity="error", markup=False)
            return
        self.notify(f"Imported {len(taken)}: {', '.join(entry.name for entry in taken[:4])}", markup=False)
        self.refresh_list(to=taken[0].id)

    def _loaded(self, entry: Kept | None) -> SteeringVector | None:
        loaded: list[SteeringVector] = []
        if entry is not None:
            self.attempt(lambda: loaded.append(self.melbo.library.load(entry.id)))
        return loaded[0] if loaded else None

    def _model_is_there(self) -> bool:
        if self.melbo.model is None:
            self.notify("The model is not loaded yet.", severity="warning")
        return self.melbo.model is not None


def _called(entries: list[Kept]) -> str:
    return entries[0].name if len(entries) == 1 else f"{len(entries)} vectors"
