"""An import is whole or not at all, and no file takes the place of another unasked."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from tests.vectors.making import vector
from vectors import exchange
from vectors.completion import UNTOLD, Completion
from vectors.errors import FileTaken
from vectors.files import atomic
from vectors.files.given_path import file_to_write
from vectors.formats.raw import Reading
from vectors.recipe import Recipe
from vectors.store import upkeep
from vectors.store.curation import Sample
from vectors.store.index import LibraryError
from vectors.store.library import Library
from vectors.store.mixtures import DEEPEST
from vectors.vector import ModelStamp, Origin, SteeringVector, VectorError


def _file(path: Path, about: str = "{}", **entry: object) -> Path:
    row = {"id": "a/0", "name": "a", "block": 1, "origin": vector().origin.to_json(), "about": "@", **entry}
    header = json.dumps({"version": 1, "vectors": [row]}).replace('"@"', about)
    path.write_bytes(save({"vectors": np.ones((1, 8), np.float32)}, {"melbo-tui": header}))
    return path


def _kept(library: Library) -> tuple[list[str], list[Path], str]:
    journal = library.folder / "changes.jsonl"
    files = sorted(path for part in ("runs", "mixtures") for path in (library.folder / part).iterdir())
    return [entry.id for entry in library.entries(kept_only=False)], files, journal.read_text() if journal.exists() else ""


def test_a_sample_that_is_not_ours_is_left_out_and_the_vector_is_whole(tmp_path: Path, library: Library) -> None:
    samples = '[{"prompt": "p", "coefficient": NaN, "text": "t"}, {"prompt": "p", "coefficient": 2, "text": "t", "kl": NaN}, 5]'
    about = f'{{"samples": {samples}, "note": "n", "rating": 1e30, "tags": ["x"]}}'
    (entry,) = exchange.take_in(library, _file(tmp_path / "x.safetensors", about), Reading())
    assert (entry.note, entry.rating, entry.tags) == ("n", None, ("x",))
    assert library.samples(entry.id) == [Sample("p", 2.0, Completion("t", stop=UNTOLD))]


@pytest.mark.parametrize("when", ["keep", "tag", "note", "add_sample"])
def test_an_import_that_fails_on_the_way_leaves_nothing(
    tmp_path: Path, library: Library, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    library.add([vector(3, "mine")])
    about = '{"samples": [{"prompt": "p", "coefficient": 1, "text": "t"}], "note": "n", "tags": ["x"]}'
    path, before = _file(tmp_path / "x.safetensors", about), _kept(library)

    def fail(*_: object) -> None:
        raise LibraryError("the disk is full")

    monkeypatch.setattr(library, when, fail)
    with pytest.raises(LibraryError, match="full"):
        exchange.take_in(library, path, Reading())
    monkeypatch.undo()
    assert _kept(library) == before
    assert _kept(upkeep.rebuild(library.folder))[0] == before[0]


def test_recipes_are_taken_in_all_or_none(tmp_path: Path, library: Library) -> None:
    a, b = (library.add([vector(i, f"v{i}", block=i)])[0].id for i in range(2))
    recipes = [{"name": "one", "recipe": {"terms": [[a, 2.0]]}}, {"name": "two", "recipe": {"terms": [[a, 1.0], [b, 1.0]]}}]
    (tmp_path / "r.json").write_text(json.dumps({"melbo-tui-recipes": 1, "recipes": recipes}))
    before = _kept(library)
    with pytest.raises(VectorError, match="acts on block"):
        exchange.take_in(library, tmp_path / "r.json", Reading())
    assert _kept(library) == before


@pytest.mark.parametrize(("count", "names"), [(1, ["mine"]), (2, ["mine-01", "mine-02"])])
def test_recipes_take_the_name_that_is_given(tmp_path: Path, library: Library, count: int, names: list[str]) -> None:
    a = library.add([vector()])[0].id
    recipes = [{"name": f"theirs {i}", "recipe": {"terms": [[a, 2.0 + i]]}} for i in range(count)]
    (tmp_path / "r.json").write_text(json.dumps({"melbo-tui-recipes": 1, "recipes": recipes}))
    assert [one.name for one in exchange.take_in(library, tmp_path / "r.json", Reading(), "mine")] == names


def test_no_mixture_is_kept_that_could_not_be_loaded(library: Library) -> None:
    last = library.add([vector()])[0].id
    for _ in range(DEEPEST + 1):
        last = library.save_mixture(Recipe(((last, 1.0), (last, 0.001))), "m").id  # two ways down at every level
    assert library.load(last).d_model == 8
    before = _kept(library)
    with pytest.raises(VectorError, match="more than 50 deep"):
        library.save_mixture(Recipe(((last, 1.0),)), "m")
    assert _kept(library) == before
    # The same from a file: what another program, or a hand, has put there.
    template = json.loads((library.folder / "mixtures" / f"{last}.json").read_text())
    for id, parent in (("mix-deeper", last), ("mix-a", "mix-b"), ("mix-b", "mix-a")):
        text = json.dumps({**template, "id": id, "recipe": {"terms": [[parent, 1.0]]}})
        (library.folder / "mixtures" / f"{id}.json").write_text(text)
    for opened in (Library(library.folder), upkeep.rebuild(library.folder)):
        assert [line.split(":")[0] for line in opened.problems()] == ["mix-a.json", "mix-b.json", "mix-deeper.json"]
        assert [entry.id for entry in opened.entries(kept_only=False)].count(last) == 1


def test_what_could_not_be_read_again_is_not_made() -> None:
    stamp = ModelStamp("m", 8, 4)
    for make in (
        lambda: ModelStamp("m", 10**30, 4),
        lambda: Origin("melbo", stamp, 10**30),
        lambda: Origin("melbo", stamp, 1, created=1e300),
        lambda: Origin("melbo", stamp, 1, seed=10**30),
        lambda: SteeringVector(np.ones(8, np.float32), 10**30, Origin("melbo", stamp, 1)),
        lambda: Recipe((("a", float("nan")),)),
        lambda: Recipe((("a", 1.0),), 1e300),
        lambda: Sample("p", float("inf"), Completion("t")),
    ):
        with pytest.raises(VectorError) as caught:
            make()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("suffix", [".safetensors", ".npy", ".gguf", ".json"])
def test_an_export_replaces_nothing_unasked(tmp_path: Path, library: Library, suffix: str) -> None:
    picks = library.add([vector()])
    path = tmp_path / f"x{suffix}"
    exchange.export(library, picks, path)
    path.write_text("mine")
    with pytest.raises(FileTaken, match="there is such a file already"):
        exchange.export(library, picks, path)
    assert path.read_text() == "mine"
    assert [one.name for one in tmp_path.iterdir() if one.name.endswith(".tmp")] == []
    exchange.export(library, picks, path, replace=True)
    assert path.stat().st_size > 4


def test_a_new_file_is_made_where_there_are_no_second_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", refused)
    atomic.write_new(tmp_path / "x", b"one")
    with pytest.raises(FileExistsError):
        atomic.write_new(tmp_path / "x", b"two")
    assert (tmp_path / "x").read_bytes() == b"one"
    monkeypatch.setattr("os.replace", refused)
    with pytest.raises(PermissionError):
        atomic.write_new(tmp_path / "y", b"three")
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_name_that_something_bears_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for name in ("x", "link"):
        with pytest.raises(FileTaken):
            file_to_write(str(tmp_path / name))
        assert file_to_write(str(tmp_path / name), replace=True) == tmp_path / name
    with pytest.raises(VectorError, match="a device"):
        file_to_write("/dev/null", replace=True)
