"""A run that is saved again: after the trash was emptied, after its file moved, with fewer vectors, without losses."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import vectors.store.library
from tests.vectors.making import vector
from vectors.recipe import average
from vectors.store import upkeep
from vectors.store.curation import MAX_RATING
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample
from vectors.vector import SteeringVector


def _losses(count: int, steps: int = 2, first: int = 0) -> np.ndarray:
    return np.arange(first, first + count * steps, dtype=np.float32).reshape(count, steps)


def _run(library: Library, count: int = 3) -> list[SteeringVector]:
    return library.save_run("r", [vector(i, f"v-{i}") for i in range(count)], _losses(count))


def _are(library: Library, seeds: dict[str, int]) -> None:
    """The run has these vectors, told by the seeds of their numbers, and no other; the same when the index is made again."""
    for one in (library, Library(library.folder), upkeep.rebuild(library.folder)):
        assert upkeep.check(one) == []
        assert {entry.id for entry in one.entries(kept_only=False)} == set(seeds)
        for id, seed in seeds.items():
            np.testing.assert_array_equal(one.load(id).direction, vector(seed).direction)
        assert [v.id for v in one.run("r")[0]] == list(seeds)


def _purge(library: Library, *ids: str) -> None:
    library.delete(ids)
    assert upkeep.empty_trash(library) == len(ids)


def test_a_run_saved_again_with_fewer_vectors_keeps_the_others_and_their_losses(library: Library) -> None:
    made = _run(library)
    library.save_run("r", made[:1], _losses(1, first=10))
    _are(library, {"r/0": 0, "r/1": 1, "r/2": 2})
    assert [library.losses(f"r/{row}") for row in range(3)] == [[10, 11], [2, 3], [4, 5]]
    library.save_run("r", made[:1], _losses(1, steps=3, first=20))
    assert [library.losses(f"r/{row}") for row in range(3)] == [[20, 21, 22], [2, 3], [4, 5]]
    library.save_run("r", made)
    assert [library.losses(f"r/{row}") for row in range(3)] == [[20, 21, 22], [2, 3], [4, 5]]


def test_what_the_trash_left_of_a_run_goes_on_as_it_was(library: Library) -> None:
    _run(library)
    _purge(library, "r/0")
    held, losses = Library(library.folder).run("r")
    assert [v.id for v in held] == ["r/1", "r/2"]
    np.testing.assert_array_equal(losses, _losses(3)[1:])
    saved = library.save_run("r", [*held, vector(7, "new")], np.concatenate([losses, _losses(1, first=30)]))
    assert [(v.id, v.name) for v in saved] == [("r/1", "v-1"), ("r/2", "v-2"), ("r/3", "new")]
    _are(library, {"r/1": 1, "r/2": 2, "r/3": 7})
    assert [library.losses(v.id) for v in saved] == [[2, 3], [4, 5], [30, 31]]
    assert upkeep.empty_trash(library) == 0
    _are(library, {"r/1": 1, "r/2": 2, "r/3": 7})


def test_a_run_of_which_nothing_is_left_gives_no_id_a_second_time(library: Library) -> None:
    _run(library)
    _purge(library, "r/0", "r/1", "r/2")
    assert library.run("r") == ([], None)
    assert [v.id for v in library.save_run("r", [vector(8), vector(9)])] == ["r/3", "r/4"]
    _are(library, {"r/3": 8, "r/4": 9})


def test_the_trash_is_emptied_while_a_run_goes_on(library: Library) -> None:
    made = _run(library)
    _purge(Library(library.folder), "r/1")
    made = library.save_run("r", [*made, vector(7, "new")], _losses(4))
    assert [v.id for v in made] == ["r/0", "r/1", "r/2", "r/3"]
    _are(library, {"r/0": 0, "r/2": 2, "r/3": 7})
    assert library.losses("r/3") == [6, 7]
    _purge(library, "r/0", "r/2", "r/3")
    assert library.save_run("r", made, _losses(4)) != []
    assert library.entries(kept_only=False) == []


def test_a_run_whose_file_was_renamed_goes_on_in_one_of_its_own(library: Library) -> None:
    made = _run(library)
    runs = library.folder / "runs"
    (runs / "r.safetensors").rename(runs / "mine.safetensors")
    upkeep.rebuild(library.folder)
    library.save_run("r", [*library.run("r")[0], vector(7, "new")], _losses(4))
    _are(library, {"r/0": 0, "r/1": 1, "r/2": 2, "r/3": 7})
    assert made[0].name == library.get("r/0").name


def test_vectors_whose_file_is_lost_do_not_get_the_numbers_of_others(library: Library) -> None:
    _run(library)
    (library.folder / "runs" / "r.safetensors").unlink()
    assert library.run("r") == ([], None)
    (new,) = library.save_run("r", [vector(7, "new")], _losses(1))
    np.testing.assert_array_equal(library.load(new.id).direction, vector(7).direction)
    assert (new.id, new.name) == ("r/3", "new")
    with pytest.raises(ValueError, match="there is no such file"):
        library.load("r/0")


def test_a_damaged_file_of_a_run_is_not_written_over(library: Library) -> None:
    made = _run(library)
    path = library.folder / "runs" / "r.safetensors"
    path.write_bytes(b"damaged")
    library.save_run("r", made[:1], _losses(1))
    library.save_run("r", made[:2])
    assert path.read_bytes() == b"damaged"
    for row in range(2):
        np.testing.assert_array_equal(library.load(f"r/{row}").direction, vector(row).direction)


def test_what_stays_of_a_file_takes_the_place_of_no_other(library: Library) -> None:
    made = _run(library)
    path = library.folder / "runs" / "r.safetensors"
    whole = path.read_bytes()
    path.write_bytes(b"damaged")
    library.save_run("r", made[:1], _losses(1))
    path.write_bytes(whole)
    _purge(library, "r/2")
    _are(library, {"r/0": 0, "r/1": 1})


@pytest.mark.parametrize("how", ["file", "known", "gone"])
def test_what_is_new_takes_the_place_of_nothing(library: Library, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = _run(library)
    second = library.save_mixture(average([v.id for v in first]), "half")
    if how == "file":
        for path in (*library.folder.glob("runs/*"), *library.folder.glob("mixtures/*")):
            path.write_bytes(b"damaged")
    if how == "gone":
        _purge(library, *(v.id for v in first), second.id)
    before = {path: path.read_bytes() for path in library.folder.glob("*/*.*")}
    ids = iter(["r", "r", "a", second.id.removeprefix("mix-"), "b"])
    monkeypatch.setattr(vectors.store.library, "new_run_id", lambda: next(ids))
    (added,) = library.add([vector(5, "added")])
    assert (added.id, library.get(added.id).name) == ("a/0", "added")
    mixed = library.save_mixture(average([added.id]), "alone")
    assert mixed.id == "mix-b"
    assert before.items() <= {path: path.read_bytes() for path in library.folder.glob("*/*.*")}.items()
    monkeypatch.setattr(vectors.store.library, "new_run_id", lambda: "a")
    with pytest.raises(LibraryError, match="no new id"):
        library.add([vector(6)])


def test_numbers_of_numpy_are_kept_as_numbers(library: Library) -> None:
    odd = SteeringVector(vector().direction, np.int64(2), vector().origin, "odd")  # type: ignore[arg-type]
    (saved,) = library.save_run("r", [odd])
    library.rate([saved.id], np.int64(MAX_RATING))  # type: ignore[arg-type]
    library.add_sample(saved.id, Sample("p", np.float32(0.5), "text", np.float32(1.5)))  # type: ignore[arg-type]
    for one in (library, upkeep.rebuild(library.folder)):
        entry = one.get(saved.id)
        assert (entry.block, entry.rating) == (2, MAX_RATING)
        assert one.samples(saved.id) == [Sample("p", 0.5, "text", 1.5)]


def test_the_file_of_a_run_is_as_it_was_where_saving_it_again_failed(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    made = _run(library)
    path: Path = library.folder / "runs" / "r.safetensors"
    before = path.read_bytes()

    def refuse(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("vectors.files.atomic.flush_folder", refuse)  # when the new file has taken the name
    with pytest.raises(LibraryError, match="No space left"):
        library.save_run("r", [*made, vector(7)], _losses(4))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
    _are(library, {"r/0": 0, "r/1": 1, "r/2": 2})
