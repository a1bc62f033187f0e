"""The journal and the index: what one has beyond the other when it was cut off, edited, replaced or lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import vectors.store.transaction
from tests.vectors.making import vector
from vectors.recipe import average
from vectors.store import upkeep
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample


@pytest.fixture
def ids(library: Library) -> list[str]:
    return [v.id for v in library.save_run("r", [vector(i, f"v-{i}") for i in range(3)])]


def _ratings(library: Library, ids: list[str]) -> list[int | None]:
    return [library.get(id).rating for id in ids]


def _lines(library: Library) -> list[str]:
    return (library.folder / "changes.jsonl").read_text().splitlines()


def _append(library: Library, text: str) -> None:
    with (library.folder / "changes.jsonl").open("a") as journal:
        journal.write(text)


def _agrees(library: Library, ids: list[str], ratings: list[int | None]) -> None:
    """The open library, one opened anew and one rebuilt from the files have these ratings."""
    for one in (Library(library.folder), upkeep.rebuild(library.folder)):
        assert _ratings(one, ids) == ratings


def test_what_the_index_lacks_of_the_journal_is_taken_in_before_the_next_change(library: Library, ids: list[str]) -> None:
    library.rate(ids, 1)
    _append(library, json.dumps({"id": ids[0], "set": {"rating": 2}}) + "\n")  # its writer was killed before the index knew
    library.rate(ids[:1], 3)
    _agrees(library, ids, [3, 1, 1])
    _append(library, json.dumps({"id": ids[1], "set": {"rating": 4}}) + "\n")
    _agrees(library, ids, [3, 4, 1])


@pytest.mark.parametrize("torn", ['{"id": "r/0", "set": {"rating": 5}', "{", "\ud7ff", '"'])
def test_a_torn_line_is_closed_off_and_counts_for_nothing(library: Library, ids: list[str], torn: str) -> None:
    library.rate(ids, 1)
    _append(library, torn)
    library.rate(ids[1:2], 2)
    _agrees(library, ids, [1, 2, 1])
    _append(library, torn)
    _agrees(library, ids, [1, 2, 1])
    assert all(line == torn or json.loads(line) for line in _lines(library))


def test_a_torn_change_of_several_vectors_is_made_to_none(library: Library, ids: list[str]) -> None:
    library.rate(ids, 1)
    journal = library.folder / "changes.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    (library.folder / "index.sqlite3").unlink()
    _agrees(library, ids, [None, None, None])


def _edited(text: str) -> str:
    return text.replace('"rating": 1', '"rating": 5')


@pytest.mark.parametrize(
    ("edit", "ratings"),
    [
        (_edited, [5, 5, 3]),
        (lambda text: "".join(text.splitlines(True)[:-1]), [1, 1, 1]),
        (lambda text: json.dumps({"id": "r/2", "set": {"rating": 0}}) + "\n" + text, [1, 1, 3]),
        (lambda text: text[:-10], [1, 1, 1]),
        (lambda text: "no line of ours\n", [None, None, None]),
    ],
    ids=["edited", "a line taken away", "a line put in", "cut in a line", "another file"],
)
def test_a_journal_that_was_changed_is_taken_as_it_is(
    library: Library, ids: list[str], edit: Callable[[str], str], ratings: list[int | None]
) -> None:
    library.rate(ids, 1)
    library.rate(ids[2:], 3)
    journal = library.folder / "changes.jsonl"
    journal.write_text(edit(journal.read_text()))
    _agrees(library, ids, ratings)
    assert list(library.folder.glob("index.sqlite3.before-*")), "how it was stays beside it"


def test_a_journal_that_was_lost_is_written_again_from_the_index(library: Library, ids: list[str]) -> None:
    library.rate(ids, 1)
    library.add_sample(ids[0], Sample("p", 1.0, "text"))
    (library.folder / "changes.jsonl").unlink()
    library.rate(ids[:1], 2)
    _agrees(library, ids, [2, 1, 1])
    assert library.samples(ids[0]) == upkeep.rebuild(library.folder).samples(ids[0]) != []


def test_a_file_that_comes_after_the_lines_about_it_has_them(library: Library, ids: list[str], tmp_path: Path) -> None:
    """As a program that synchronises folders may bring them."""
    library.rate(ids, 4)
    mixed = library.save_mixture(average(ids), "half")
    library.tag([mixed.id], ["tag"])
    late = tmp_path / "late"
    (late / "runs").mkdir(parents=True)
    shutil.copy(library.folder / "changes.jsonl", late)
    there = Library(late)
    assert there.entries(kept_only=False) == []
    for part in ("runs", "mixtures"):
        shutil.copytree(library.folder / part, late / part, dirs_exist_ok=True)
    there.refresh()
    _agrees(there, ids, [4, 4, 4])
    assert there.get(mixed.id).tags == ("tag",)


def test_an_index_from_before_it_knew_how_far_it_had_read_takes_the_journal_in(library: Library, ids: list[str]) -> None:
    library.rate(ids, 1)
    _append(library, json.dumps({"id": ids[0], "set": {"rating": 2}}) + "\n")
    with sqlite3.connect(library.folder / "index.sqlite3") as db:
        db.execute("DROP TABLE taken")
        db.execute("ALTER TABLE files DROP COLUMN stamp")
        db.execute("PRAGMA user_version = 3")
    _agrees(library, ids, [2, 1, 1])
    assert (library.folder / "index.sqlite3.v3.bak").exists()


def _refuse_commits(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the journal is longer than now, the index cannot be committed."""
    before, connect = len(_lines(library)), sqlite3.connect

    class Full(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:  # type: ignore[override]
            if sql == "COMMIT" and len(_lines(library)) > before:
                raise sqlite3.OperationalError("database or disk is full")
            return super().execute(sql, *args)  # type: ignore[arg-type]

    monkeypatch.setattr("sqlite3.connect", lambda *args, **kwargs: connect(*args, factory=Full, **kwargs))


def _refuse_to_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise LibraryError("the journal cannot be cut")

    monkeypatch.setattr("vectors.store.journal.Journal.cut", refuse)


def test_an_index_that_cannot_be_committed_does_not_make_a_change_half(
    library: Library, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.rate(ids, 1)
    before = _lines(library)
    _refuse_commits(library, monkeypatch)
    with pytest.raises(LibraryError, match="is full"):
        library.rate(ids, 2)
    with pytest.raises(LibraryError, match="is full"):
        library.add([vector(9, "new")])
    monkeypatch.undo()
    assert _lines(library) == before
    assert len(library.entries(kept_only=False)) == len(Library(library.folder).entries(kept_only=False)) == 3
    assert not library.history[1:]
    _agrees(library, ids, [1, 1, 1])


def test_who_waits_too_long_for_another_s_change_is_told(
    library: Library, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vectors.store.index._PATIENCE", 0.1)
    with sqlite3.connect(library.folder / "index.sqlite3", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LibraryError, match="another process has been changing the library"):
            library.rate(ids, 1)
        assert Library(library.folder).get(ids[0]).rating is None
        other.execute("ROLLBACK")
    library.rate(ids, 1)


def test_threads_lose_none_of_each_other_s_changes(library: Library, ids: list[str]) -> None:
    def change(me: int) -> None:
        for number in range(10):
            library.tag(ids, [f"{me}-{number % 3}"])
            library.add_sample(ids[me], Sample(f"{number}", 1.0, "text"))

    threads = [threading.Thread(target=change, args=(me,)) for me in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(library.get(id).tags) for id in ids] == [9, 9, 9]
    assert [len(library.samples(id)) for id in ids] == [10, 10, 10]


def test_undo_leaves_what_another_program_has_changed_since(library: Library, ids: list[str]) -> None:
    other = Library(library.folder)
    library.tag(ids[:1], ["mine"])
    other.tag(ids[:1], ["theirs"])
    library.undo()
    assert library.get(ids[0]).tags == ("theirs",)
    library.rate(ids, 1)
    other.rate(ids[:1], 5)
    library.undo()
    assert _ratings(library, ids) == [5, None, None]
    library.note(ids[0], "mine")
    other.note(ids[0], "theirs")
    with pytest.raises(LibraryError, match="another program has changed it since"):
        library.undo()
    assert library.undo() is None


def test_a_run_saved_again_with_fewer_vectors_loses_none(library: Library) -> None:
    made = [vector(i, f"v-{i}") for i in range(3)]
    library.save_run("r", made)
    library.save_run("r", made[:2])
    assert library.load("r/2").name == "v-2"
    assert upkeep.check(library) == []


def test_care_tells_what_somebody_should_look_at(library: Library, ids: list[str]) -> None:
    assert upkeep.care(library) == []
    _append(library, json.dumps({"id": ids[0], "set": {"rating": 2}}) + "\n")
    (library.folder / "runs" / "broken.safetensors").write_bytes(b"x")
    left = library.folder / "runs" / ".r.safetensors.abc.tmp"
    left.write_bytes(b"x")
    assert len(upkeep.care(library)) == 1, "a file that is being written is nobody's trouble"
    os.utime(left, (1, 1))
    told = "\n".join(upkeep.care(library))
    assert "the index is behind" in told
    assert left.name in told
    library.refresh()
    told = "\n".join(upkeep.care(library))
    assert "behind" not in told
    assert "broken.safetensors" in told
    upkeep.rebuild(library.folder)
    assert "an earlier index" in "\n".join(upkeep.care(library))


def test_what_stays_in_the_journal_is_told_as_saved_and_read_as_soon_as_it_can_be(
    library: Library, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    library.rate(ids, 1)
    _refuse_commits(library, monkeypatch)
    _refuse_to_cut(monkeypatch)
    mixed = library.save_mixture(average(ids), "half")
    assert mixed.name == "half"
    assert "is full" in library.problems()[0]
    monkeypatch.undo()
    monkeypatch.setattr("vectors.store.transaction._SECONDS_BETWEEN", 0.0)
    assert library.get(mixed.id).kept
    assert library.problems() == []
    assert library.undo() == "mixing half"


def test_a_change_whose_line_stays_is_finished(library: Library, ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a file took its name only when it was tried again."""
    put, tries = vectors.store.transaction.put_in_place, []

    def put_at_last(temporary: Path, path: Path) -> None:
        tries.append(path)
        if len(tries) == 1:
            raise OSError(28, "No space left on device")
        put(temporary, path)

    _refuse_to_cut(monkeypatch)
    monkeypatch.setattr("vectors.store.transaction.put_in_place", put_at_last)
    (added,) = library.add([vector(9, "new")])
    assert len(tries) == 2
    for one in (library, Library(library.folder), upkeep.rebuild(library.folder)):
        assert one.get(added.id).kept
        assert upkeep.check(one) == []


def test_threads_undo_each_other_s_changes_as_whole_steps(library: Library, ids: list[str]) -> None:
    """An import of one thread is one step, and takes none of another thread's away."""

    def rate() -> None:
        for number in range(20):
            library.rate(ids[:1], number % 2)

    def add() -> None:
        for number in range(10):
            library.add([vector(number, f"new-{number}")])

    threads = [threading.Thread(target=work) for work in (rate, add)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    labels = [step.label for step in library.history]
    assert labels.count("rating a vector") == 20
    assert [label for label in labels if label.startswith("adding")] == [f"adding new-{number}" for number in range(10)]
    assert len(labels) == 30


def test_a_damaged_file_is_not_read_again_whenever_a_run_is_saved(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    (library.folder / "runs" / "broken.safetensors").write_bytes(b"x")
    library.refresh()
    read: list[Path] = []
    monkeypatch.setattr("vectors.store.fold.safetensors_file.read_header", lambda path: read.append(path) or [])
    library.save_run("r", [vector(0)])
    assert read == []
