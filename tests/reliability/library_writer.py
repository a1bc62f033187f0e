"""A process that changes a library at random until it is killed, and says what it does: `python -m ... FOLDER SEED`.

Before a change it writes a line of JSON with the state that the change will bring, `{"then": {thing: state}}`; after it `null`.
A state is that of a vector, a conversation or a run's checkpoint as `states` gives it, None for what is no more.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import vectors.store.library
from tests.vectors.making import vector
from vectors.recipe import average
from vectors.store import upkeep
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Talks, Turn
from vectors.store.library import Library, Sample

State = dict[str, Any]
_MOST = 24  # vectors; with more the trash is emptied
UNTOUCHED = {"kept": False, "rating": None, "note": "", "tags": [], "deleted": False, "samples": []}


def states(library: Library) -> State:
    """All that the library holds, by id."""
    held: State = {}
    for entry in (*library.entries(kept_only=False), *library.entries(trash=True)):
        held[entry.id] = {
            "name": entry.name, "kept": entry.kept, "rating": entry.rating, "note": entry.note, "tags": list(entry.tags),
            "deleted": entry.deleted, "samples": sorted(sample.prompt for sample in library.samples(entry.id)),
        }  # fmt: skip
    talks, kept = Talks(library.folder), Checkpoints(library.folder)
    held |= {f"talk {one.id}": [turn.message for turn in talks.load(one.id)] for one in talks.listed()}
    return held | {f"run {run}": kept.load(run).header["step"] for run in kept.unfinished()}


class Writer:
    """Every kind of change, one at a time; `told` is called with the state that it will bring, then with None."""

    def __init__(self, folder: Path, seed: int, told: Any) -> None:
        self.library = Library(folder)
        self.random = random.Random(seed)
        self.count, self.seed, self._told = 0, seed, told
        self.talks, self.checkpoints = Talks(folder), Checkpoints(folder)

    def _new(self) -> str:
        return f"{self.seed}-{self.count}"

    @contextmanager
    def naming(self) -> Iterator[None]:
        """Runs get ids that can be told beforehand."""
        usual = vectors.store.library.new_run_id
        vectors.store.library.new_run_id = self._new
        try:
            yield
        finally:
            vectors.store.library.new_run_id = usual

    @contextmanager
    def _will(self, then: State) -> Iterator[None]:
        self._told({"then": then})
        yield
        self._told(None)

    def change(self, kind: str = "") -> None:
        """Makes one change, of any kind unless one is named."""
        self.count += 1
        self.held = states(self.library)
        here = [id for id, state in self.held.items() if isinstance(state, dict)]
        self.trash = [id for id in here if self.held[id]["deleted"]]
        self.here = [id for id in here if id not in self.trash]
        kind = "save_run" if not self.here else kind or self.random.choice(KINDS)
        getattr(self, f"do_{'empty_trash' if len(here) > _MOST and self.trash else kind}")()

    def _one(self) -> str:
        return self.random.choice(self.here)

    def _with(self, ids: list[str], **fields: Any) -> State:
        return {id: self.held[id] | fields for id in ids}

    def _numbered(self, run: str, count: int) -> tuple[list[Any], State]:
        made = [vector(row, f"{run}-{row}") for row in range(count)]
        return made, {f"{run}/{row}": {"name": v.name, **UNTOUCHED} for row, v in enumerate(made)}

    def do_save_run(self) -> None:
        made, then = self._numbered(self._new(), 3)
        with self._will(then):
            self.library.save_run(self._new(), made, np.zeros((3, 2), np.float32))

    def do_save_more_of_a_run(self) -> None:
        made, then = self._numbered(self._new(), 4)
        with self._will({id: then[id] for id in list(then)[:2]}):
            self.library.save_run(self._new(), made[:2])
        with self._will(then):
            self.library.save_run(self._new(), made)

    def do_add(self) -> None:
        _, then = self._numbered(self._new(), 2)
        with self._will({id: state | {"kept": True} for id, state in then.items()}):
            self.library.add([vector(row, f"{self._new()}-{row}") for row in range(2)])

    def do_keep(self) -> None:
        ids = self.random.sample(self.here, min(3, len(self.here)))
        with self._will(self._with(ids, kept=True)):
            self.library.keep(ids)

    def do_rename(self) -> None:
        id = self._one()
        with self._will(self._with([id], name=self._new(), kept=True)):
            self.library.rename(id, self._new())

    def do_note(self) -> None:
        id = self._one()
        with self._will(self._with([id], note=self._new())):
            self.library.note(id, self._new())

    def do_rate(self) -> None:
        ids, rating = self.random.sample(self.here, min(2, len(self.here))), self.random.randrange(6)
        with self._will(self._with(ids, rating=rating)):
            self.library.rate(ids, rating)

    def do_tag(self) -> None:
        id, tag = self._one(), self.random.choice("abcdefgh")
        with self._will(self._with([id], tags=sorted({*self.held[id]["tags"], tag}))):
            self.library.tag([id], [tag])

    def do_untag(self) -> None:
        id = max(self.here, key=lambda id: len(self.held[id]["tags"]))
        tag, *others = self.held[id]["tags"] or ["a"]
        with self._will(self._with([id], tags=others)):
            self.library.tag([id], [], [tag])

    def do_sample(self) -> None:
        id = self._one()
        with self._will(self._with([id], samples=sorted({*self.held[id]["samples"], self._new()}))):
            self.library.add_sample(id, Sample(self._new(), 1.0, "text"))

    def do_delete(self) -> None:
        id = self._one()
        with self._will(self._with([id], deleted=True)):
            self.library.delete([id])

    def do_restore(self) -> None:
        with self._will(self._with(self.trash, deleted=False)):
            self.library.restore(self.trash)

    def do_undo(self) -> None:
        id = self._one()
        with self._will(self._with([id], note="to be undone")):
            self.library.note(id, "to be undone")
        with self._will(self._with([id])):
            self.library.undo()

    def do_mixture(self) -> None:
        parents = self.random.sample(self.here, min(2, len(self.here)))
        with self._will({f"mix-{self._new()}": {"name": self._new(), **UNTOUCHED, "kept": True}}):
            self.library.save_mixture(average(parents), self._new())

    def do_empty_trash(self) -> None:
        with self._will(dict.fromkeys(self.trash)):
            upkeep.empty_trash(self.library)

    def do_talk(self) -> None:
        talk = self.random.choice("xyz")
        messages = [*self.held.get(f"talk {talk}", []), self._new()]
        with self._will({f"talk {talk}": messages}):
            if messages[:-1]:
                self.talks.load(talk)
            self.talks.save(talk, [Turn(message) for message in messages])

    def do_checkpoint(self) -> None:
        with self._will({"run r": self._new()}):
            self.checkpoints.save("r", {"step": self._new()}, {"x": np.zeros(8, np.float32)})

    def do_rebuild(self) -> None:
        with self._will({}):
            upkeep.rebuild(self.library.folder)


KINDS = sorted(name.removeprefix("do_") for name in vars(Writer) if name.startswith("do_"))


def main() -> None:
    writer = Writer(Path(sys.argv[1]), int(sys.argv[2]), lambda line: print(json.dumps(line), flush=True))
    with writer.naming():
        while True:
            writer.change()


if __name__ == "__main__":
    main()
