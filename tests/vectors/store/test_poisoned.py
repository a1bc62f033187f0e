"""Anything at any place of any kept file: one line about that file, and all others as they were."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.vectors import poison
from vectors.annotation import Annotation
from vectors.store import upkeep
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations
from vectors.store.index import LibraryError
from vectors.store.library import Library
from vectors.store.reports import Reports

QUICKLY = settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled") / "library"
    poison.fill(folder)
    return folder


@pytest.fixture(scope="module")
def before(filled: Path) -> dict[str, str]:
    found = poison.look(filled)
    assert not [line for line in found.values() if line.startswith("told")]
    return found


def poisoned(filled: Path, change: Callable[[Path], object], lost: bool = False) -> Path:
    """A copy of the library, changed, its index lost or not."""
    folder = Path(tempfile.mkdtemp(dir=filled.parent)) / "library"
    shutil.copytree(filled, folder)
    if lost:
        (folder / "index.sqlite3").unlink()
    change(folder)
    return folder


def look_twice(folder: Path) -> dict[str, str]:
    """As it is opened, and as it is after a rebuild, which must come to the same for what is whole."""
    found = poison.look(folder)
    upkeep.rebuild(folder)
    again = poison.look(folder)
    shutil.rmtree(folder.parent)
    return found | {f"again {name}": value for name, value in again.items()}


def check_rest(file: str, before: dict[str, str], found: dict[str, str]) -> None:
    """That all which does not depend on `file` is as it was."""
    for name, value in poison.others(file, before).items():
        assert found.get(name) == value, (file, name)


def check_others(file: str, before: dict[str, str], found: dict[str, str]) -> None:
    check_rest(file, before, found)
    check_rest(file, before, {name.removeprefix("again "): value for name, value in found.items() if name.startswith("again ")})


def any_json_at_any_place(filled: Path, before: dict[str, str], data: st.DataObject, lost: bool) -> None:
    file = data.draw(st.sampled_from(poison.files_in(filled)))
    trees = poison.trees_of(filled / file)
    number = data.draw(st.integers(0, len(trees) - 1))
    place = data.draw(st.sampled_from(list(poison.places(trees[number]))))
    text = poison.put(trees[number], place, data.draw(poison.POISON))
    found = look_twice(poisoned(filled, lambda folder: poison.write_poisoned(folder / file, number, text), lost))
    check_others(file, before, found)


def any_bytes(filled: Path, before: dict[str, str], data: st.DataObject, lost: bool) -> None:
    file = data.draw(st.sampled_from(poison.files_in(filled)))
    raw = poison.damaged((filled / file).read_bytes(), data)
    found = look_twice(poisoned(filled, lambda folder: (folder / file).write_bytes(raw), lost))
    if file != "changes.jsonl" or not lost:
        check_others(file, before, found)


def any_bytes_of_the_index(filled: Path, before: dict[str, str], data: st.DataObject, lost: bool) -> None:
    raw = poison.damaged((filled / "index.sqlite3").read_bytes(), data)
    folder = poisoned(filled, lambda folder: (folder / "index.sqlite3").write_bytes(raw))
    told = []
    try:
        poison.look(folder)
    except LibraryError as error:
        told.append(str(error))
    assert all(line.isprintable() for line in told)
    upkeep.rebuild(folder)
    check_rest("index.sqlite3", before, poison.look(folder))
    shutil.rmtree(folder.parent)


# tests/reliability/test_attack_files.py does each some thousand times.
ATTACKS = (any_json_at_any_place, any_bytes, any_bytes_of_the_index)


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_others_stay_as_they_were(filled: Path, before: dict[str, str], attack: Callable[..., None]) -> None:
    QUICKLY(given(data=st.data(), lost=st.booleans())(attack))(filled, before)


KINDS: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
    "loop": lambda path: path.symlink_to(path),
    "nowhere": lambda path: path.symlink_to("/nonexistent"),
    "device": lambda path: path.symlink_to("/dev/zero"),
    "socket": lambda path: _bound(path),
}
NAMES = ("runs/x.safetensors", "mixtures/x.json", "talks/x.json", "reports/x.json", "unfinished/x.safetensors",
         "atlases/x.safetensors", "scores/x.safetensors")  # fmt: skip


def _bound(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # a socket's path may only be short
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(here)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes and sockets in its folders")
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_not_waited_for(filled: Path, before: dict[str, str], kind: str) -> None:
    def change(folder: Path) -> None:
        for name in NAMES:
            KINDS[kind](folder / name)

    folder = poisoned(filled, change)
    found: list[dict[str, str]] = []
    looking = threading.Thread(target=lambda: found.append(poison.look(folder)), daemon=True)
    looking.start()
    looking.join(30)
    assert found, "it hangs"
    assert found[0] == before
    told = Library(folder).problems()
    assert len(told) == 2
    assert all("x." in line for line in told)
    for read in (
        lambda: Conversations(folder).load("x"),
        lambda: Reports(folder).load("x"),
        lambda: Checkpoints(folder).load("x"),
    ):
        with pytest.raises(LibraryError):
            read()


@pytest.mark.skipif(os.name != "posix", reason="Windows has no pipes in its folders")
@pytest.mark.parametrize("name", ["changes.jsonl", "index.sqlite3"])
@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_a_journal_or_an_index_that_is_no_file_is_told(filled: Path, name: str, kind: str) -> None:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        KINDS[kind](folder / name)

    folder = poisoned(filled, change)
    ended: list[str] = []

    def look() -> None:
        try:
            library = Library(folder)
            library.tag([library.entries()[0].id], ["new"])
        except LibraryError as error:
            ended.append(str(error))
        else:
            ended.append("")

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(30)
    assert ended, "it hangs"
    assert ended[0]
    assert ended[0].isprintable()


def test_an_index_of_an_older_version_with_impossible_numbers_opens_and_tells(filled: Path) -> None:
    def change(folder: Path) -> None:
        with Library(folder).index.changing() as db:
            db.execute("UPDATE vectors SET created = 1e300, rating = 'x' WHERE id = 'run-a/0'")
            db.execute("UPDATE vectors SET origin = json_set(origin, '$.seed', 1e30) WHERE id = 'run-b/0'")
            db.execute("UPDATE samples SET coefficient = 1e300 WHERE vector = 'run-b/0'")

    folder = poisoned(filled, change)
    library = Library(folder)
    assert [line for line in library.problems() if line.startswith("run-a.safetensors: ")]
    ids = {entry.id for entry in library.entries(kept_only=False)}
    assert "run-a/0" not in ids
    assert len(ids) == 5
    assert library.get("run-b/0").origin.method == "melbo"
    assert library.samples("run-b/0") == []
    assert upkeep.rebuild(folder).get("run-a/0").rating == 4


LABELLED = {"vector": "run-a/0", "prompt": "prompt", "coefficient": 1.0, "text": "text"}


def test_a_line_of_the_journal_that_is_none_of_ours_keeps_no_other_from_being_read(filled: Path) -> None:
    strange = [
        {"purged": 5}, {"purged": [5]}, {"id": "run-a/0", "set": {"rating": 10**30}}, {"id": "run-a/0", "set": {"name": None}},
        {"id": "run-a/0", "set": {"color": 1}}, {"id": 3, "set": {}}, {"sample": 5}, {"sample": ["run-a/0"] * 8},
        {"label": 5}, {"label": {"vector": "run-a/0"}}, {"label": {**LABELLED, "label_refusal": "maybe"}},
        {"label": {**LABELLED, "text": ["text"]}}, {"label": {**LABELLED, "coefficient": 1e300}},
        {"label": {**LABELLED, "text": "another", "label_refusal": "yes"}},
        {"id": "run-a/0", "set": {"deleted": 1e300}}, {"id": "run-a/0", "set": {"kept": "x"}}, 5, [1],
    ]  # fmt: skip

    def change(folder: Path) -> None:
        with (folder / "changes.jsonl").open("a") as journal:
            for line in strange:
                journal.write(json.dumps(line) + "\n")
            journal.write(json.dumps({"id": "run-a/1", "set": {"note": "read"}}) + "\n")

    for lost in (False, True):
        library = Library(poisoned(filled, change, lost))
        entry = library.get("run-a/0")
        assert (entry.name, entry.rating, entry.kept, entry.deleted, entry.note) == ("va-0", 4, True, False, "a note")
        assert library.get("run-a/1").note == "read"
        assert [sample.label for sample in library.samples("run-a/0")] == [Annotation("no", True, False)]
