from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.vectors.making import saved_run, vector
from vectors.recipe import average
from vectors.store import upkeep
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample, new_run_id


def test_round_trip(library: Library) -> None:
    ids = saved_run(library)
    loaded = Library(library.folder).load(ids[1])
    np.testing.assert_array_equal(loaded.direction, vector(1).direction)
    assert (loaded.name, loaded.block, loaded.origin) == ("bomb-02", 1, vector(1).origin)
    assert library.losses(ids[1]) == [4.0, 5.0, 6.0, 7.0]


def test_only_what_was_kept_is_listed_unless_all_is_asked_for(library: Library) -> None:
    ids = saved_run(library)
    library.keep([ids[2]])
    assert [e.id for e in library.entries()] == [ids[2]]
    assert len(library.entries(kept_only=False)) == 3


def test_a_run_saved_again_with_more_keeps_ids_and_names(library: Library) -> None:
    run = new_run_id()
    first = library.save_run(run, [vector(0, "a-01")])
    library.rename(first[0].id, "mine")
    again = library.save_run(run, [*first, vector(1, "a-02")])
    assert [v.name for v in again] == ["mine", "a-02"]
    assert library.get(first[0].id).kept


def test_names_are_unique_per_model(library: Library) -> None:
    ids = saved_run(library)
    more = saved_run(library)
    assert library.get(more[0]).name == "bomb-01.2"
    with pytest.raises(LibraryError, match="taken"):
        library.rename(ids[0], "bomb-02")
    assert library.next_number("bomb", "tiny") == 4


def test_delete_and_restore(library: Library) -> None:
    ids = saved_run(library)
    library.delete([ids[0]])
    assert ids[0] not in [e.id for e in library.entries(kept_only=False)]
    assert [e.id for e in library.entries(trash=True)] == [ids[0]]
    library.rename(ids[1], "bomb-01")
    library.restore([ids[0]])
    assert library.get(ids[0]).name == "bomb-01.2"


def test_samples_and_notes(library: Library) -> None:
    id = saved_run(library)[0]
    library.add_sample(id, Sample("p", 1.0, "text\x1b[31m"))
    library.add_sample(id, Sample("p", 2.0, "other"))
    library.note(id, "good\x07 one")
    assert [s.text for s in library.samples(id)] == ["text[31m", "other"]
    assert library.first_samples() == {id: Sample("p", 1.0, "text[31m")}
    assert library.get(id).note == "good one"


def test_what_cannot_be_found_says_what_is_near(library: Library) -> None:
    saved_run(library)
    with pytest.raises(LibraryError, match="is it bomb-01"):
        library.find("bomb-1")


def test_the_index_is_rebuilt_from_the_files(library: Library) -> None:
    ids = saved_run(library)
    (library.folder / "index.sqlite3").unlink()
    assert {e.id for e in Library(library.folder).entries(kept_only=False)} == set(ids)


def test_a_damaged_file_does_not_take_the_rest_along(library: Library) -> None:
    ids = saved_run(library)
    (library.folder / "runs" / "broken.safetensors").write_bytes(b"\xff" * 100)
    opened = Library(library.folder)
    assert len(opened.entries(kept_only=False)) == len(ids)
    assert any("broken.safetensors" in problem for problem in opened.problems())


def test_a_file_whose_name_is_no_text_is_told_until_it_is_renamed(library: Library) -> None:
    saved = library.save_run("r", [vector()])
    odd = library.folder / "runs" / os.fsdecode(b"caf\xe9.safetensors")
    odd.write_bytes((library.folder / "runs" / "r.safetensors").read_bytes())
    for opened in (Library(library.folder), upkeep.rebuild(library.folder)):
        assert opened.problems() == ["caf\ufffd.safetensors: its name has bytes that are no UTF-8; rename it"]
        assert opened.get(saved[0].id).name == "v"
    odd.unlink()
    assert not Library(library.folder).problems()


def test_what_is_no_text_is_not_kept(library: Library) -> None:
    (entry,) = library.add([vector()])
    assert library.rename(entry.id, "caf\udce9") == "caf\ufffd"
    library.note(entry.id, "\ud800")
    library.tag([entry.id], ["\udce9"])
    for name in ("caf\udce9", "\ud800"):
        with pytest.raises(LibraryError, match="has bytes that are no text"):
            library.find(name)
    with pytest.raises(LibraryError, match="no text"):
        library.add_sample(entry.id, Sample("\udce9", 1.0, "x"))
    kept = upkeep.rebuild(library.folder).get(entry.id)
    assert (kept.name, kept.note, kept.tags) == ("caf\ufffd", "\ufffd", ("\ufffd",))


def test_two_at_once_see_each_other(library: Library) -> None:
    other = Library(library.folder)
    ids = saved_run(library)
    other.rename(ids[0], "theirs")
    assert library.get(ids[0]).name == "theirs"


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(LibraryError, match=r"cannot be used \(Permission denied\)"):
        Library(tmp_path / "library")


def test_a_file_in_the_folder_s_place(tmp_path: Path) -> None:
    (tmp_path / "library").write_text("")
    with pytest.raises(LibraryError, match="cannot be used"):
        Library(tmp_path / "library")


def test_an_index_that_is_no_database(tmp_path: Path) -> None:
    tmp_path.joinpath("index.sqlite3").write_bytes(b"not a database at all" * 100)
    with pytest.raises(LibraryError, match="is damaged"):
        Library(tmp_path)


_WRITER = """
import sys
from pathlib import Path
from tests.vectors.making import vector
from vectors.store.library import Library, new_run_id
from vectors.recipe import average
library, n = Library(Path(sys.argv[1])), 0
while True:
    saved = library.save_run(new_run_id(), [vector(n + i, f"v-{n + i}") for i in range(3)])
    for v in saved:
        print(v.id, flush=True)
    library.rename(saved[0].id, f"named-{n}")
    library.tag([saved[2].id], ["tagged"])
    print(saved[2].id, "tagged", flush=True)
    mixed = library.save_mixture(average([v.id for v in saved]), f"mixed-{n}")
    print(mixed.id, flush=True)
    library.delete([saved[1].id])
    n += 3
"""


def _kill_round(folder: Path, after: float) -> list[str]:
    """Lets a process write until it is killed; gives what it had reported: ids, some with `tagged` behind them."""
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    reported = [writer.stdout.readline().strip()]  # it is writing by now
    time.sleep(after)
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    whole_lines = rest[: rest.rfind("\n") + 1]
    return [line for line in [*reported, *whole_lines.splitlines()] if line]


@pytest.mark.parametrize("rounds", [6, pytest.param(200, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_killed_at_random_moments_it_loses_nothing_reported(tmp_path: Path, rounds: int) -> None:
    random = np.random.default_rng(0)
    reported: list[str] = []
    for _ in range(rounds):
        reported += _kill_round(tmp_path / "library", float(random.uniform(0, 0.1)))
    for library in (Library(tmp_path / "library"), upkeep.rebuild(tmp_path / "library")):
        assert upkeep.check(library) == []
        for line in reported:
            id, *tags = line.split()
            assert library.load(id).d_model == 8
            assert not tags or library.get(id).tags == ("tagged",)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PermissionError(30, "Read-only file system")])
def test_what_cannot_be_written_is_told_and_changes_nothing(
    error: OSError, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = saved_run(library)
    library.rate(ids[:1], 3)
    before = (library.entries(kept_only=False), library.folder.joinpath("changes.jsonl").read_bytes())

    def full(descriptor: int) -> None:
        raise error

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(LibraryError, match=error.strerror):
        saved_run(library)
    with pytest.raises(LibraryError, match=error.strerror):
        library.rate(ids, 5)
    with pytest.raises(LibraryError, match=error.strerror):
        library.save_mixture(average(ids), "half")
    monkeypatch.undo()
    again = Library(library.folder)
    assert (again.entries(kept_only=False), library.folder.joinpath("changes.jsonl").read_bytes()) == before
    assert upkeep.check(again) == []
