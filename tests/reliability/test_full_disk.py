"""A library on a disk that is full, or that cannot be written for another reason: it is told, nothing is half-written, nothing
is lost, and all goes on when there is space."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.disks import fill, free, read_only
from tests.reliability.library_writer import KINDS, State, Writer, states
from vectors.store import upkeep
from vectors.store.index import LibraryError
from vectors.store.library import Library

MADE = ("save_run", "add", "mixture", "sample", "tag", "talk", "checkpoint", "delete", "mixture", "delete", "tag", "note")


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that has some of everything, to be copied."""
    folder = tmp_path_factory.mktemp("start") / "library"
    writer = Writer(folder, 1, lambda said: None)
    with writer.naming():
        for kind in MADE:
            writer.change(kind)
    return folder


def _attempted(folder: Path, kind: str, seed: int = 7) -> tuple[State, str]:
    """Opens the library and makes a change: what it holds then as far as it was told, and what went wrong, if anything did."""
    held = states(Library(folder))
    then: list[State] = []

    def told(said: Any) -> None:
        nonlocal held
        if said is None:
            held = {thing: state for thing, state in (held | then.pop()).items() if state is not None}
        else:
            then.append(said["then"])

    try:
        writer = Writer(folder, seed, told)
        with writer.naming():
            writer.change(kind)
    except LibraryError as error:
        return held, str(error)
    return held, ""


def _holds(folder: Path, held: State) -> None:
    opened = Library(folder)
    assert states(opened) == held
    assert upkeep.check(opened) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("levels", [(0, 8), pytest.param(range(0, 68, 4), marks=pytest.mark.slow)], ids=["two", "all"])
def test_on_a_full_disk_a_change_is_made_or_told_not_to_be(start: Path, disk: Path, kind: str, levels: Any) -> None:
    refused = 0
    for left in levels:
        folder = disk / "library"
        shutil.copytree(start, folder)
        fill(disk, left << 10)
        held, wrong = _attempted(folder, kind)
        if wrong:
            refused += 1
            assert f"the disk that holds {folder} is full" in wrong
            assert "nothing that was saved is lost" in wrong
            assert "\n" not in wrong
        _holds(folder, held)
        free(disk)
        _holds(folder, held)
        held, wrong = _attempted(folder, kind, 8)
        assert not wrong
        _holds(folder, held)
        assert states(upkeep.rebuild(folder)) == held
        assert not list(folder.glob("*/.*.tmp")), "a part of a file stayed"
        shutil.rmtree(folder)
    assert refused


@pytest.mark.parametrize("kind", KINDS)
def test_on_a_disk_that_is_only_read_it_opens_and_says_so(start: Path, disk: Path, kind: str) -> None:
    folder = shutil.copytree(start, disk / "library")
    read_only(disk)
    held, wrong = _attempted(folder, kind)
    assert f"{folder} can only be read" in wrong
    _holds(folder, held)
    read_only(disk, False)
    held, wrong = _attempted(folder, kind)
    assert not wrong
    _holds(folder, held)


@pytest.mark.parametrize(
    "limit", [0, 16384, pytest.param(1000, marks=pytest.mark.slow), pytest.param(4096, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("kind", KINDS)
def test_where_files_may_not_grow_a_change_is_made_or_told_not_to_be(
    start: Path, tmp_path: Path, kind: str, limit: int
) -> None:
    folder = shutil.copytree(start, tmp_path / "library")
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            os.write(theirs, json.dumps(_attempted(folder, kind)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        held, wrong = json.loads(told.read())
    os.waitpid(child, 0)
    assert not wrong or "may grow no further" in wrong
    assert limit or wrong
    _holds(folder, held)


def test_a_quota_that_is_used_up_is_told(start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = shutil.copytree(start, tmp_path / "library")
    held = states(Library(folder))

    def refuse(*_: object) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr("os.fsync", refuse)
    for kind in ("rate", "save_run", "talk", "checkpoint"):
        assert "your quota on the disk" in _attempted(folder, kind)[1]
    monkeypatch.undo()
    _holds(folder, held)


def test_a_new_library_on_a_full_disk_says_so(disk: Path) -> None:
    fill(disk)
    with pytest.raises(LibraryError, match="is full"):
        Library(disk / "library")
    free(disk)
    assert Library(disk / "library").entries() == []
