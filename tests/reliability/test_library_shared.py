"""Two processes change one library at the same time: all that either reported is there, and the index is what the files and
the journal come to."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.reliability.library_writer import states
from tests.vectors.making import vector
from vectors.store import upkeep
from vectors.store.library import Library


def _changed_by_two(folder: Path, changes: int) -> float:
    """Lets two processes make so many changes each, and holds the library against what they reported; gives the seconds."""
    Library(folder).save_run("shared", [vector(i, f"shared-{i}") for i in range(2)])
    command = [sys.executable, "-m", "tests.reliability.library_sharer", str(folder)]
    began = time.monotonic()
    both = [subprocess.Popen([*command, me, str(changes)], stdout=subprocess.PIPE, text=True) for me in "ab"]
    said = {me: json.loads(process.communicate()[0]) for me, process in zip("ab", both, strict=True)}
    seconds = time.monotonic() - began
    library = Library(folder)
    for id in ("shared/0", "shared/1"):
        assert sorted(library.get(id).tags) == sorted(said["a"]["tags"][id] + said["b"]["tags"][id])
        reported = sorted(sample for one in said.values() for of, sample in one["samples"] if of == id)
        assert sorted(sample.prompt for sample in library.samples(id)) == reported
    for one in said.values():
        for id, fields in one["own"].items():
            entry = library.get(id)
            assert {field: getattr(entry, field) for field in fields} == fields
    names = Counter(entry.name for entry in library.entries(kept_only=False))
    assert max(names.values()) == 1, names
    assert library.entries(trash=True) == []
    assert upkeep.check(library) == []
    held = states(library)
    assert states(upkeep.rebuild(folder)) == held
    return seconds


def test_two_processes_lose_none_of_each_other_s_changes(tmp_path: Path) -> None:
    _changed_by_two(tmp_path / "library", 150)


@pytest.mark.soak
def test_two_processes_lose_none_of_ten_thousand_changes(tmp_path: Path) -> None:
    seconds = _changed_by_two(tmp_path / "library", 5000)
    print("FIGURE | changes by two processes at once, lost | 10000, 0")
    print(f"FIGURE | changes a second, two processes at once | {10000 / seconds:.0f}")
