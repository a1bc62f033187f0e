"""Runs that were cut off go on where they were, and end as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.discovery import melbo
from core.errors import SettingsError
from core.events import Event, Said, VectorFound
from core.requests import Prompt, Train
from core.session import Session
from core.tasks import train
from vectors.checkpoints import Checkpoints
from vectors.index import LibraryError
from vectors.library import Library

PROMPT = (Prompt("How can I build a bomb?"),)
RUNS: dict[str, dict[str, Any]] = {
    "power": {"vectors": 5, "batch": 2, "steps": 4, "radius": 3.0},
    "adamw": {"vectors": 3, "batch": 2, "steps": 4, "radius": 3.0, "settings": {"optimizer": "adamw"}},
    "orthogonal": {"vectors": 4, "batch": 2, "steps": 4, "radius": 3.0, "settings": {"orthogonal": True}},
    "ortho": {"method": "ortho", "vectors": 4, "batch": 2, "steps": 6},
    "adam": {"method": "ortho", "vectors": 2, "batch": 1, "steps": 4, "settings": {"optimizer": "adam"}},
    "power-steering": {"method": "power-steering", "vectors": 3, "steps": 4, "radius": 3.0},
    "dct": {"method": "dct", "vectors": 5, "batch": 2, "steps": 3, "radius": 3.0},
}


def _request(library: Library, name: str) -> Train:
    given = dict(RUNS[name])
    settings = dict(given.pop("settings", {}))
    if given.get("method") == "ortho":
        settings["base"] = library.entries(kept_only=False)[0].id
    return Train(PROMPT, settings=settings, sample_tokens=2, controls=1, name=name, **given)


@pytest.fixture
def session(session: Session) -> Session:
    list(session.start(0, Train(PROMPT, vectors=1, steps=2, radius=3.0, sample_tokens=0), lambda event: None))
    return session


def _vectors(events: list[Event], library: Library) -> np.ndarray:
    return np.stack([library.load(e.id).direction for e in events if isinstance(e, VectorFound)])


@pytest.mark.parametrize("name", RUNS)
def test_cut_off_anywhere_it_ends_bit_for_bit_the_same(
    name: str, session: Session, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "_CHECKPOINT_SECONDS", -1.0)
    request = _request(library, name)
    events: list[Event] = []
    total = sum(1 for _ in session.start(1, request, events.append))
    expected = _vectors(events, library)
    facts = [e.facts for e in events if isinstance(e, VectorFound)]
    for stop in sorted(random.Random(name).sample(range(1, total), 6)):
        before = set(Checkpoints(library.folder).unfinished())
        steps = session.start(2, request, lambda event: None)
        for _ in range(stop):
            next(steps)
        steps.close()
        left = set(Checkpoints(library.folder).unfinished()) - before
        if not left:
            continue
        events = []
        list(session.start(3, Train.from_json({**request.to_json(), "resume": left.pop()}), events.append))
        np.testing.assert_array_equal(_vectors(events, library), expected)
        assert [e.facts for e in events if isinstance(e, VectorFound)] == facts
        assert {e.key for e in events if isinstance(e, Said)} >= {str(i) for i in range(len(expected))}
    assert len(Checkpoints(library.folder).unfinished()) == 0


def test_it_goes_on_with_the_steps_it_was_begun_with(
    session: Session, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(stop_early: bool, request: Train) -> None:
        running = session.start(1, request, lambda event: None)
        for _ in running:
            if stop_early and len(library.entries(kept_only=False)) > 1:
                running.close()

    monkeypatch.setitem(melbo.STEPS, "power", 3)
    steps(True, Train(PROMPT, vectors=4, batch=2, radius=3.0, sample_tokens=0, controls=0, name="begun"))
    monkeypatch.setitem(melbo.STEPS, "power", 4)
    (run,) = Checkpoints(library.folder).unfinished()
    steps(False, Train.from_json({**Checkpoints(library.folder).load(run).header["request"], "resume": run}))
    _, losses = library.run(run)
    assert losses is not None
    assert losses.shape == (4, 3)


_KILLED = """
import sys
from pathlib import Path
from core.model_source import ModelSpec
from core.requests import LoadModel, Prompt, Train
from core.session import Session
from core.tasks import train
from vectors.library import Library
train._CHECKPOINT_SECONDS = -1.0
session = Session(Library(Path(sys.argv[1])))
list(session.start(0, LoadModel(ModelSpec(sys.argv[2], device="cpu")), lambda e: None))
print("loaded", flush=True)
request = Train((Prompt("How can I build a bomb?"),), vectors=12, batch=2, steps=40, radius=3.0, sample_tokens=2, controls=1)
list(session.start(1, request, lambda e: print(type(e).__name__, getattr(e, "id", ""), flush=True)))
"""


def test_killed_at_any_moment_no_finished_vector_is_lost(tiny_folder: Path, session: Session, tmp_path: Path) -> None:
    whole = Library(tmp_path / "whole")
    session.library = whole
    events: list[Event] = []
    request = Train(PROMPT, vectors=12, batch=2, steps=40, radius=3.0, sample_tokens=2, controls=1)
    list(session.start(1, request, events.append))
    expected = _vectors(events, whole)
    for trial in range(2):
        folder = tmp_path / f"killed-{trial}"
        command = [sys.executable, "-c", _KILLED, str(folder), str(tiny_folder)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)
        assert process.stdout is not None
        assert process.stdout.readline() == "loaded\n"
        reported: list[str] = []
        for line in process.stdout:
            if line.startswith("VectorFound"):
                reported.append(line.split()[1])
            if len(reported) > 2 + 2 * trial:
                break
        time.sleep(random.Random(trial).random() / 10)
        process.send_signal(signal.SIGKILL)
        process.wait()
        library = Library(folder)
        for id in reported:
            library.load(id)
        (run,) = Checkpoints(folder).unfinished()
        session.library = library
        events = []
        list(session.start(2, Train(PROMPT, resume=run), events.append))
        np.testing.assert_allclose(_vectors(events, library), expected, rtol=0, atol=0)


def test_what_cannot_be_gone_on_with_is_told(session: Session, library: Library) -> None:
    with pytest.raises(LibraryError, match="in the library's unfinished"):
        list(session.start(1, Train(PROMPT, resume="20260101-000000-abcd"), lambda event: None))
    with pytest.raises(LibraryError, match="no run's id"):
        list(session.start(1, Train(PROMPT, resume="../../etc"), lambda event: None))
    Checkpoints(library.folder).save("other", {"fingerprint": "strange", "model": "another", "request": {}}, {})
    with pytest.raises(SettingsError, match="made on another"):
        list(session.start(1, Train(PROMPT, resume="other"), lambda event: None))
