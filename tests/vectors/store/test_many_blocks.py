"""A vector over many blocks in the library: kept, listed, mixed, compared, undone, purged and rebuilt as one."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from tests.vectors.making import over, saved_run, vector
from vectors.mixture import joined
from vectors.recipe import Recipe
from vectors.store import similarity, upkeep
from vectors.store.kept import Kept
from vectors.store.library import Library, new_run_id
from vectors.store.query import Line, chosen
from vectors.store.trash import empty_trash
from vectors.vector import SteeringVector


def _same(one: SteeringVector, other: SteeringVector) -> None:
    assert one.blocks == other.blocks
    np.testing.assert_array_equal(one.directions, other.directions)


def test_it_is_one_row_that_any_opening_has_whole(library: Library) -> None:
    made = [vector(1, "a", 1), over(1, 2, 3, seed=2, name="many"), vector(3, "b", 2), over(0, 3, seed=4, name="two")]
    losses = np.arange(8, dtype=np.float32).reshape(4, 2)
    saved = library.save_run(new_run_id(), made, losses)
    (library.folder / "index.sqlite3").unlink()
    for opened in (library, Library(library.folder)):
        for before, one in zip(made, saved, strict=True):
            _same(opened.load(one.id), before)
        assert [opened.losses(one.id) for one in saved] == losses.tolist()
        assert opened.get(saved[1].id).blocks == (1, 2, 3)
        assert opened.get(saved[1].id).block == 1
        assert upkeep.check(opened) == []
        run, kept_losses = opened.run(saved[0].id.rpartition("/")[0])
        assert [one.blocks for one in run] == [one.blocks for one in made]
        assert kept_losses is not None
        np.testing.assert_array_equal(kept_losses, losses)


def test_a_run_goes_on_behind_it(library: Library) -> None:
    run = new_run_id()
    first = library.save_run(run, [over(1, 2, 3, name="many")], np.ones((1, 2), "f4"))
    library.save_run(run, [*first, vector(5, "next")], np.array([[1, 1], [2, 2]], "f4"))
    _same(library.load(f"{run}/1"), vector(5))
    assert library.losses(f"{run}/1") == [2, 2]
    _same(library.load(f"{run}/0"), over(1, 2, 3))


def test_emptying_the_trash_moves_its_rows_together(library: Library) -> None:
    made = [vector(1, "a"), over(1, 2, 3, name="many"), vector(3, "b"), over(0, 2, seed=9, name="two")]
    saved = library.save_run(new_run_id(), made, np.arange(8, dtype=np.float32).reshape(4, 2))
    library.delete([saved[0].id, saved[2].id])
    assert empty_trash(library) == 2
    for place in (1, 3):
        _same(library.load(saved[place].id), made[place])
        assert library.losses(saved[place].id) == [2 * place, 2 * place + 1]
    upkeep.rebuild(library.folder)
    _same(Library(library.folder).load(saved[3].id), made[3])


def test_mixtures_of_it_are_computed_over_all_blocks(library: Library) -> None:
    a, b = library.add([over(1, 2, seed=1, name="a"), over(2, 3, seed=2, name="b")])
    mixed = library.save_mixture(Recipe(((a.id, 1.0), (b.id, -2.0)), 5.0), "mixed")
    assert (mixed.blocks, mixed.norm) == ((1, 2, 3), pytest.approx(5))
    assert library.load(mixed.id).cosine(a - 2 * b) == pytest.approx(1)
    (library.folder / "index.sqlite3").unlink()
    assert Library(library.folder).get(mixed.id).blocks == (1, 2, 3)
    library.delete([a.id])
    empty_trash(library)
    assert library.load(mixed.id).blocks == (1, 2, 3), "it has got numbers of its own"
    assert library.load(mixed.id).norm == pytest.approx(5)


def test_a_mixture_of_single_vectors_is_the_file_that_it_was(library: Library) -> None:
    ids = saved_run(library)
    mixed = library.save_mixture(Recipe(((ids[0], 1.0), (ids[1], 1.0))), "m")
    text = (library.folder / "mixtures" / f"{mixed.id}.json").read_text()
    assert '"version": 1' in text
    assert '"blocks"' not in text


@pytest.mark.parametrize(
    ("words", "names"),
    [("block:2", ["two", "a"]), ("block=6", ["two"]), ("block>=3", ["b"]), ("block<3", ["two", "a"]), ("-block:2", ["b"])],
)
def test_filters_find_any_of_its_blocks(library: Library, words: str, names: list[str]) -> None:
    library.add([vector(1, "a", 2), vector(2, "b", 3), over(1, 2, 6, name="two")])
    lines = [Line.of(entry, None) for entry in library.entries()]
    assert sorted(line.entry.name for line in chosen(lines, words)) == sorted(names)


def test_neighbours_share_a_block_and_duplicates_have_all(library: Library) -> None:
    many, like, part, other, apart = library.add(
        [
            over(1, 2, 3, seed=1, name="many"),
            1.001 * over(1, 2, 3, seed=1),
            SteeringVector(over(1, 2, 3, seed=1).at(2), 2, over(2).origin, "part"),
            over(3, 4, seed=5, name="other"),
            vector(6, "apart", 5),
        ]
    )
    mixed = library.save_mixture(Recipe(((many.id, 1.0), (other.id, 1.0))), "mixed")
    for one in (many, part, other):
        to = library.load(one.id)
        found = dict(similarity.cosines(library, to))
        sharing = [v for v in library.entries() if v.id != one.id and set(v.blocks) & set(to.blocks)]
        assert found.keys() == {v.id for v in sharing}
        for id, cosine in found.items():
            assert cosine == pytest.approx(to.cosine(library.load(id)), abs=1e-6)
    assert mixed.id in dict(similarity.cosines(library, many))
    assert apart.id not in dict(similarity.cosines(library, many))
    ((a, b, cosine),) = similarity.duplicates(library, library.load(many.id))
    assert {a, b} == {many.id, like.id}
    assert cosine == pytest.approx(1, abs=1e-5)


def test_an_index_of_version_4_is_brought_over(library: Library) -> None:
    ids = saved_run(library)
    with sqlite3.connect(library.index.path) as db:
        db.execute("ALTER TABLE vectors DROP COLUMN blocks")
        db.execute("PRAGMA user_version = 4")
    opened = Library(library.folder)
    assert [opened.get(id).blocks for id in ids] == [(1,)] * 3
    (saved,) = opened.add([over(1, 2)])
    assert opened.get(saved.id).blocks == (1, 2)


def test_an_index_of_version_4_is_not_made_anew_and_takes_in_what_that_could_not_read(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = saved_run(library)
    (many,) = library.add([over(1, 2)])
    library.rate([many.id], 3)
    with sqlite3.connect(library.index.path) as db:
        db.execute("DELETE FROM vectors WHERE id = ?", (many.id,))
        db.execute("UPDATE files SET problem = 'written by a newer melbo-tui' WHERE name LIKE ?", (f"{many.id[:-2]}%",))
        db.execute("ALTER TABLE vectors DROP COLUMN blocks")
        db.execute("PRAGMA user_version = 4")
    monkeypatch.setattr("vectors.store.fold.refold", lambda *args: pytest.fail("10,000 vectors would take many seconds"))
    opened = Library(library.folder)
    assert [opened.get(id).blocks for id in ids] == [(1,)] * 3
    assert (opened.get(many.id).blocks, opened.get(many.id).rating) == ((1, 2), 3)
    assert opened.problems() == []


@pytest.mark.parametrize("blocks", ["2-1", "x", "0-9999999", "2-3", "1-3,3", "1" * 5000])
def test_an_index_with_impossible_blocks_opens_and_tells(library: Library, blocks: str) -> None:
    (saved,) = library.add([over(1, 2)])
    whole = saved_run(library)
    with sqlite3.connect(library.index.path) as db:
        db.execute("UPDATE vectors SET blocks = ? WHERE id = ?", (blocks, saved.id))
    opened = Library(library.folder)
    assert {entry.id for entry in opened.entries(kept_only=False)} == set(whole)
    assert "impossible numbers" in opened.problems()[0]
    similarity.cosines(opened, over(1, 2))
    upkeep.rebuild(library.folder)
    _same(Library(library.folder).load(saved.id), over(1, 2))


def test_joining_is_undone(library: Library) -> None:
    parts = library.add([vector(1, "a", 1), vector(2, "b", 2)])
    (whole,) = library.add([joined(parts, "whole")])
    assert library.get(whole.id).origin.parents == tuple(part.id for part in parts)
    assert library.undo() == "adding whole"
    assert {entry.name for entry in library.entries()} == {"a", "b"}
    library.restore([whole.id])
    assert library.get(whole.id).blocks == (1, 2)


def test_kept_tells_the_same_of_a_single_block(library: Library) -> None:
    entry: Kept = library.get(saved_run(library)[0])
    assert (entry.block, entry.blocks) == (1, (1,))


def test_what_one_file_holds_another_library_reads(library: Library, tmp_path: Path) -> None:
    from vectors import exchange
    from vectors.formats.raw import Reading

    saved = library.add([over(1, 2, 3, seed=1, name="many"), vector(2, "one", 2)])
    exchange.export(library, saved, tmp_path / "x.safetensors")
    taken = exchange.take_in(other := Library(tmp_path / "other"), tmp_path / "x.safetensors", Reading())
    assert [entry.blocks for entry in taken] == [(1, 2, 3), (2,)]
    for entry, one in zip(taken, saved, strict=True):
        _same(other.load(entry.id), one)


def test_vectors_that_are_wider_than_their_file_says_keep_no_other_from_being_compared(library: Library) -> None:
    one, other, odd = library.add([vector(1, "one"), vector(2, "other"), vector(3, "odd", d_model=6)])
    assert library.get(odd.id).d_model == 8
    assert [id for id, _ in similarity.cosines(library, library.load(one.id))] == [other.id]
    assert similarity.cosines(library, library.load(odd.id)) == []
    assert similarity.duplicates(library, library.load(odd.id)) == []
