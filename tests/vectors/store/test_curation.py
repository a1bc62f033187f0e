"""What people say of vectors, mixtures and the trash: undone, rebuilt from the files, brought over from older libraries."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.vectors.making import saved_run, vector
from vectors.annotation import Annotation
from vectors.completion import END, UNTOLD, Completion
from vectors.recipe import Recipe, average, orthogonalised
from vectors.store import upkeep
from vectors.store.index import VERSION, LibraryError
from vectors.store.library import Library, Sample
from vectors.store.samples import Place
from vectors.vector import VectorError


def _state(library: Library) -> dict[str, object]:
    entries = [*library.entries(kept_only=False), *library.entries(trash=True)]
    fields = ("name", "kept", "note", "rating", "tags", "deleted", "block", "norm", "method")
    return {e.id: (*(getattr(e, f) for f in fields), tuple(library.samples(e.id))) for e in entries}


def test_all_that_people_do_can_be_undone(library: Library) -> None:
    ids = saved_run(library)
    states = [_state(library)]
    for change in (
        lambda: library.rename(ids[0], "mine"),
        lambda: library.tag(ids[:2], ["Code", "python 3"]),
        lambda: library.tag(ids[:1], ["more"], ["code"]),
        lambda: library.rate(ids, 4),
        lambda: library.note(ids[2], "odd"),
        lambda: library.keep(ids),
        lambda: library.delete(ids[:2]),
        lambda: library.restore(ids[:1]),
    ):
        change()
        states.append(_state(library))
    assert library.get(ids[1]).tags == ("code", "python-3")
    while len(states) > 1:
        assert _state(library) == states.pop()
        assert library.undo()
    assert _state(library) == states[0]
    assert library.undo() is None
    library.delete([ids[0]])
    library.rename(ids[1], "bomb-01")
    library.history = library.history[:-1]
    library.undo()
    assert library.get(ids[0]).name == "bomb-01.2", "the name was given away meanwhile"


def test_what_does_not_change_anything_is_no_change(library: Library) -> None:
    ids = saved_run(library)
    library.keep(ids[:1], False)
    assert library.undo() is None
    with pytest.raises(LibraryError, match="0 to 5"):
        library.rate(ids, 6)
    with pytest.raises(LibraryError, match="visible"):
        library.tag(ids, [" , "])


def test_mixtures_are_recipes_and_are_computed(library: Library) -> None:
    ids = saved_run(library)
    mixed = library.save_mixture(Recipe(((ids[0], 0.5), (ids[1], -1.0))), "")
    expected = 0.5 * library.load(ids[0]) - library.load(ids[1])
    np.testing.assert_array_equal(library.load(mixed.id).direction, expected.direction)
    assert mixed.name == "0.5 bomb-01 - bomb-02"
    assert library.recipe(mixed.id).written(library.names()) == mixed.name
    twice = library.save_mixture(average([mixed.id, ids[2]], norm=2.0), "twice")
    assert twice.norm == pytest.approx(2.0)
    assert library.load(twice.id).origin.parents == (mixed.id, ids[2])
    last = library.save_mixture(orthogonalised(ids)[2], "third")
    loaded = [library.load(id) for id in (*ids[:2], last.id)]
    assert max(abs(loaded[2].cosine(other)) for other in loaded[:2]) < 1e-6
    assert library.undo() == "mixing third"
    assert library.get(last.id).deleted
    other = library.add([vector(9, "elsewhere", block=2)])[0]
    with pytest.raises(VectorError, match="block"):
        library.save_mixture(Recipe(((ids[0], 1.0), (other.id, 1.0))), "no")
    assert upkeep.check(library) == []


def test_the_index_is_made_again_from_the_files(library: Library) -> None:
    ids = saved_run(library)
    library.rename(ids[0], "mine")
    library.tag(ids, ["code"])
    library.rate(ids[:1], 5)
    library.note(ids[1], "a note\x1b[31m")
    library.add_sample(ids[0], Sample("prompt", 1.0, Completion("text", mean_kl=0.25, perplexity=7.5)))
    mixed = library.save_mixture(average(ids[:2]), "half")
    library.delete([ids[2]])
    before = _state(library)
    (library.folder / "index.sqlite3").unlink()
    assert _state(Library(library.folder)) == before
    (library.folder / "index.sqlite3").write_bytes(b"not a database" * 100)
    with pytest.raises(LibraryError, match="rebuild"):
        Library(library.folder)
    again = upkeep.rebuild(library.folder)
    assert _state(again) == before
    assert again.get(mixed.id).kept
    assert list(library.folder.glob("index.sqlite3.before-*"))


def test_a_library_from_before_perplexities_were_kept_is_brought_over(library: Library) -> None:
    ids = saved_run(library)
    library.add_sample(ids[0], Sample("prompt", 1.0, Completion("text", mean_kl=0.25, stop=UNTOLD)))
    before = _state(library)
    path, journal = library.folder / "index.sqlite3", library.folder / "changes.jsonl"
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE samples DROP COLUMN perplexity")
        db.execute("PRAGMA user_version = 2")
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    old = [{"sample": line["sample"][:6]} if "sample" in line else line for line in lines]
    journal.write_text("".join(json.dumps(line) + "\n" for line in old))
    assert _state(Library(library.folder)) == before
    assert len(journal.read_text().splitlines()) == len(old), "what the journal knows is not written there again"
    path.unlink()
    again = Library(library.folder)
    assert _state(again) == before
    again.add_sample(ids[0], Sample("prompt", 1.0, Completion("text", mean_kl=0.25, perplexity=7.5)))
    assert again.sample(ids[0], "prompt") == Sample("prompt", 1.0, Completion("text", mean_kl=0.25, perplexity=7.5))
    assert again.sample(ids[0], "another") is None


def test_a_library_of_the_first_version_is_brought_over_with_a_backup(library: Library) -> None:
    ids = saved_run(library)
    library.rename(ids[0], "mine")
    library.add_sample(ids[0], Sample("prompt", 1.0, Completion("text", stop=UNTOLD)))
    before = _state(library)
    path = library.folder / "index.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE vectors DROP COLUMN tags")
        for column in ("kl", "perplexity", "thought", "tokens", "thought_tokens", "stop"):
            db.execute(f"ALTER TABLE samples DROP COLUMN {column}")
        db.execute("DROP TABLE gone")
        db.execute("PRAGMA user_version = 1")
    (library.folder / "changes.jsonl").unlink()
    again = Library(library.folder)
    assert _state(again) == before
    assert (library.folder / "index.sqlite3.v1.bak").exists()
    path.unlink()
    assert _state(Library(library.folder)) == before, "what the old index knew is in the journal now"
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(LibraryError, match="newer"):
        Library(library.folder)


def test_samples_from_before_thoughts_were_kept_stand_beside_those_with_one(library: Library) -> None:
    (id, *_) = saved_run(library)
    journal = library.folder / "changes.jsonl"
    with journal.open("a") as lines:
        lines.write(json.dumps({"sample": [id, "prompt", 1.0, "text", 1e9, 0.25]}) + "\n")
    path = library.folder / "index.sqlite3"
    with sqlite3.connect(path) as db:
        db.execute("ALTER TABLE samples DROP COLUMN thought")
        db.execute("PRAGMA user_version = 2")
    lines_before = journal.read_text()
    again = Library(library.folder)
    assert journal.read_text() == lines_before, "what the journal has it is not told twice"
    again.add_sample(id, Sample("prompt", 2.0, Completion("answer", mean_kl=0.5, thought="thought\x1b[31m")))
    kept = [Sample("prompt", 2.0, Completion("answer", mean_kl=0.5, thought="thought[31m"))]
    kept = [Sample("prompt", 1.0, Completion("text", mean_kl=0.25, stop=UNTOLD)), *kept]
    assert again.samples(id) == kept, "a line that the old index had not taken in is taken in"
    path.unlink()
    assert Library(library.folder).samples(id) == kept


def test_a_library_from_before_counts_of_tokens_were_kept_is_brought_over_with_a_backup(library: Library) -> None:
    (id, *_) = saved_run(library)
    with (library.folder / "changes.jsonl").open("a") as lines:
        lines.write(json.dumps({"sample": [id, "prompt", 1.0, "text", 1e9, 0.25, 7.5, "thought"]}) + "\n")
    with sqlite3.connect(library.folder / "index.sqlite3") as db:
        for column in ("tokens", "thought_tokens", "stop"):
            db.execute(f"ALTER TABLE samples DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 4")
    again = Library(library.folder)
    assert (library.folder / "index.sqlite3.v4.bak").exists()
    old = Sample("prompt", 1.0, Completion("text", "thought", mean_kl=0.25, perplexity=7.5, stop=UNTOLD))
    assert again.samples(id) == [old]
    new = Sample("prompt", 2.0, Completion("text", "", (1, 2), 2, 0, (0.5,), 0.5, 3.0, END))
    again.add_sample(id, new)
    (library.folder / "index.sqlite3").unlink()
    assert Library(library.folder).samples(id) == [old, new]
    assert (new.completion.ids, new.completion.kl, new.completion.tokens) == ((), (), 2)


def test_a_library_from_before_labels_were_kept_is_brought_over_with_a_backup(library: Library) -> None:
    (id, *_) = saved_run(library)
    sample = Sample("prompt", 1.0, Completion("text", stop=END))
    library.add_sample(id, sample)
    with sqlite3.connect(library.folder / "index.sqlite3") as db:
        for column in ("label_refusal", "label_coherent", "label_relevant"):
            db.execute(f"ALTER TABLE samples DROP COLUMN {column}")
        db.execute("PRAGMA user_version = 5")
    again = Library(library.folder)
    assert (library.folder / "index.sqlite3.v5.bak").exists()
    assert again.samples(id) == [sample]
    assert again.label({Place.of(id, sample): Annotation("no", True, True)}) == 1
    assert again.samples(id) == Library(library.folder).samples(id) == [replace(sample, label=Annotation("no", True, True))]


def test_a_library_that_cannot_be_written_to_opens(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = saved_run(library)

    def refuse(*args: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("os.fsync", refuse)
    monkeypatch.setattr("vectors.store.journal.Journal.append", refuse)
    again = Library(library.folder)
    assert again.load(ids[0]).name == "bomb-01"
    assert len(again.entries(kept_only=False)) == 3


def test_the_trash_is_emptied_and_mixtures_outlive_their_parents(library: Library) -> None:
    ids = saved_run(library)
    whole = saved_run(library, 2)
    mixed = library.save_mixture(average(ids[:2]), "half")
    above = library.save_mixture(Recipe(((mixed.id, 2.0),)), "double")
    directions = {id: library.load(id).direction for id in (ids[0], ids[2], mixed.id, above.id)}
    losses = library.losses(ids[2])
    library.delete([ids[1], *whole])
    assert upkeep.empty_trash(library) == 3
    for again in (library, upkeep.rebuild(library.folder)):
        assert again.entries(trash=True) == []
        assert upkeep.check(again) == []
        for id, direction in directions.items():
            np.testing.assert_array_equal(again.load(id).direction, direction)
        assert again.losses(ids[2]) == losses
        with pytest.raises(LibraryError):
            again.get(ids[1])
    assert upkeep.empty_trash(library) == 0


def test_a_damaged_file_is_told_and_the_rest_works(library: Library) -> None:
    ids = saved_run(library)
    mixed = library.save_mixture(average(ids[:2]), "half")
    good = saved_run(library, 1)
    path = next(p for p in (library.folder / "runs").iterdir() if p.stem == ids[0].split("/")[0])
    path.write_bytes(path.read_bytes()[:-5])
    found = upkeep.check(Library(library.folder))
    assert any("damaged" in line for line in found)
    assert any(line.startswith("half") for line in found)
    assert library.load(good[0]).name
    with pytest.raises(VectorError):
        library.load(mixed.id)


def test_a_line_cut_off_by_a_crash_loses_only_itself(library: Library) -> None:
    ids = saved_run(library)
    library.rate(ids[:1], 3)
    journal: Path = library.folder / "changes.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"id": "half a li')
    library.rate(ids[1:2], 4)
    again = upkeep.rebuild(library.folder)
    assert [again.get(id).rating for id in ids] == [3, 4, None]
