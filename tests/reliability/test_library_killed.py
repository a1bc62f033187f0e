"""A process that changes the library is killed, at random moments and between every two of its steps: nothing that it reported
is lost, nothing comes back, the library opens, and its index is what the files and the journal come to."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.library_writer import KINDS, State, Writer, states
from vectors.store import upkeep
from vectors.store.library import Library


def _brought(held: State, then: State) -> State:
    return {thing: state for thing, state in (held | then).items() if state is not None}


def _held_after(folder: Path, held: State, under_way: State | None, numbers: bool = True) -> State:
    """What the library holds when it is opened after a kill: `held`, or all of the change that was under way as well."""
    opened = Library(folder)
    found = states(opened)
    assert opened.problems() == []
    possible = [held] if under_way is None else [held, _brought(held, under_way)]
    assert found in possible, {k: (v, held.get(k)) for k, v in found.items() if held.get(k) != v} or held.keys() - found.keys()
    if numbers:
        assert upkeep.check(opened) == []
    assert states(upkeep.rebuild(folder)) == found, "the index is not what the files and the journal come to"
    for old in folder.glob("index.sqlite3.before-*"):
        old.unlink()
    return found


def _killed_at_random(folder: Path, kills: int) -> dict[str, int]:
    """Kills a writer so often, and holds the library against what it reported every time; gives what was reported, and when."""
    held: State = {}
    counted = {"reported": 0, "in the middle of a change": 0}
    chance = random.Random(0)
    for kill in range(kills):
        command = [sys.executable, "-m", "tests.reliability.library_writer", str(folder), str(kill)]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline()
        time.sleep(chance.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        rest = writer.communicate()[0]
        under_way: State | None = None
        for line in (first + rest[: rest.rfind("\n") + 1]).splitlines():
            said = json.loads(line)
            if said is None:
                assert under_way is not None
                held, under_way = _brought(held, under_way), None
                counted["reported"] += 1
            else:
                under_way = said["then"]
        counted["in the middle of a change"] += under_way is not None
        held = _held_after(folder, held, under_way, numbers=kill % 10 == 0)
    assert upkeep.check(Library(folder)) == []
    return counted


@pytest.mark.slow
def test_killed_25_times_it_loses_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    assert _killed_at_random(tmp_path / "library", 25)["reported"] > 25


@pytest.mark.soak
def test_killed_300_times_it_loses_nothing_and_brings_nothing_back(tmp_path: Path) -> None:
    counted = _killed_at_random(tmp_path / "library", 300)
    print(f"FIGURE | kills, of which so many in the middle of a change | 300, {counted['in the middle of a change']}")
    print(f"FIGURE | changes reported before them, lost, brought back | {counted['reported']}, 0, 0")


class _Killer:
    """Kills its own process before the step `at` of a change: a statement of SQLite's, or a call that writes."""

    def __init__(self, at: int) -> None:
        self.at, self.steps = at, 0

    def step(self, *what: object) -> None:
        self.steps += 1
        if self.steps > self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.step()
            if call is _write:  # the kernel may take a part of it
                _write(args[0], bytes(args[1])[: len(args[1]) // 2])
                self.step()
                return len(args[1]) // 2 + _write(args[0], bytes(args[1])[len(args[1]) // 2 :])
            return call(*args, **kwargs)

        return counted

    def watch(self) -> None:
        connect = sqlite3.connect

        def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            db = connect(*args, **kwargs)
            db.set_trace_callback(lambda sql: None if sql.startswith(("SELECT", "PRAGMA")) else self.step())
            return db

        sqlite3.connect = watched  # type: ignore[assignment]
        for module, name in ((os, "write"), (os, "fsync"), (os, "replace"), (os, "truncate"), (os, "unlink"), (Path, "unlink")):
            setattr(module, name, self.before(getattr(module, name)))


_write = os.write


def _kill_in_child(folder: Path, kind: str, at: int) -> tuple[list[Any], bool]:
    """What a child told that made a change of that kind and was killed before its step `at`; whether it got so far."""
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.close(ours)
            writer = Writer(folder, 7, lambda said: _write(theirs, json.dumps(said).encode() + b"\n"))
            with writer.naming():
                _Killer(at).watch()
                writer.change(kind)
        finally:
            os._exit(0)
    os.close(theirs)
    with os.fdopen(ours) as told:
        said = [json.loads(line) for line in told]
    return said, os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _points(kind: str, every: int) -> Iterator[int]:
    yield from range(KINDS.index(kind) % every, 400, every)


def _killed_between_steps(tmp_path: Path, kind: str, every: int) -> int:
    start = tmp_path / "start"
    writer = Writer(start, 1, lambda said: None)
    made = ("save_run", "add", "mixture", "sample", "tag", "talk", "checkpoint", "delete", "mixture", "delete", "tag", "note")
    with writer.naming():
        for before in made:
            writer.change(before)
    held = states(Library(start))
    for at in _points(kind, every):
        folder = tmp_path / f"killed-{at}"
        shutil.copytree(start, folder)
        said, killed = _kill_in_child(folder, kind, at)
        now, under_way = held, None
        for one in said:
            now, under_way = (now, one["then"]) if one is not None else (_brought(now, under_way or {}), None)
        _held_after(folder, now, under_way)
        shutil.rmtree(folder)
        if not killed:
            return at
    raise AssertionError("it has more steps than that")


@pytest.mark.parametrize("kind", KINDS)
def test_killed_between_two_steps_of_a_change_it_is_made_or_not(tmp_path: Path, kind: str) -> None:
    assert _killed_between_steps(tmp_path, kind, 7) >= 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_between_any_two_steps_of_a_change_it_is_made_or_not(tmp_path: Path, kind: str) -> None:
    assert _killed_between_steps(tmp_path, kind, 1) >= 2
