"""Runs that were cut off go on where they were, and end as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.discovery.declarations.melbo import STEPS
from core.engine.events import Event, Generated, VectorFound
from core.engine.requests import Train
from core.engine.session import Session, Task
from core.engine.tasks import sampling, train
from core.errors import Cancelled, SettingsError
from core.prompt import Prompt
from vectors.completion import Completion
from vectors.store import upkeep
from vectors.store.checkpoints import Checkpoints
from vectors.store.index import LibraryError
from vectors.store.library import Library, Sample

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
        assert {e.key for e in events if isinstance(e, Generated)} >= {str(i) for i in range(len(expected))}
    assert len(Checkpoints(library.folder).unfinished()) == 0


def test_it_goes_on_with_the_steps_it_was_begun_with(
    session: Session, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def steps(stop_early: bool, request: Train) -> None:
        running = session.start(1, request, lambda event: None)
        for _ in running:
            if stop_early and len(library.entries(kept_only=False)) > 1:
                running.close()

    monkeypatch.setitem(STEPS, "power", 3)
    steps(True, Train(PROMPT, vectors=4, batch=2, radius=3.0, sample_tokens=0, controls=0, name="begun"))
    monkeypatch.setitem(STEPS, "power", 4)
    (run,) = Checkpoints(library.folder).unfinished()
    steps(False, Train.from_json({**Checkpoints(library.folder).load(run).header["request"], "resume": run}))
    _, losses = library.run(run)
    assert losses is not None
    assert losses.shape == (4, 3)


_KILLED = """
import sys
from pathlib import Path
from core.model.source import ModelSpec
from core.engine.requests import LoadModel, Prompt, Train
from core.engine.session import Session, Task
from core.engine.tasks import train
from vectors.store.library import Library, Sample
train._CHECKPOINT_SECONDS = -1.0
session = Session(Library(Path(sys.argv[1])))
list(session.start(0, LoadModel(ModelSpec(sys.argv[2], device="cpu")), lambda e: None))
print("loaded", flush=True)
request = Train((Prompt("How can I build a bomb?"),), vectors=12, batch=2, steps=40, radius=3.0, sample_tokens=2, controls=1)
list(session.start(1, request, lambda e: print(type(e).__name__, getattr(e, "id", ""), flush=True)))
"""


@pytest.mark.slow
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


def _interrupted(session: Session, request: Train, at: Callable[[list[Event]], bool], stop: Callable[[Task], object]) -> str:
    """Runs `request` until `at` holds of its events, ends it by `stop`, and gives the unfinished run's id."""
    assert session.library is not None
    events: list[Event] = []
    steps = session.start(1, request, events.append)
    while not at(events):
        next(steps)
    stop(steps)
    (run,) = Checkpoints(session.library.folder).unfinished()
    return run


def _told_to_end(steps: Task) -> None:
    with pytest.raises(Cancelled):
        deque(chain([steps.throw(Cancelled())], steps), maxlen=0)


def _two_found(events: list[Event]) -> bool:
    return sum(isinstance(event, VectorFound) for event in events) >= 2


def test_a_resumed_run_shows_what_was_measured_and_the_sample_of_its_own_prompt(session: Session, library: Library) -> None:
    request = Train(PROMPT, vectors=10, batch=2, steps=3, radius=3.0, sample_tokens=4, controls=2, name="own")
    first: list[Event] = []
    steps = session.start(1, request, first.append)
    while sum(isinstance(event, Generated) and event.completion.finished and event.key.isdecimal() for event in first) < 8:
        next(steps)
    next(steps)
    steps.close()
    ids = [event.id for event in first if isinstance(event, VectorFound)]
    before = {event.key: event.completion for event in first if isinstance(event, Generated)}
    for prompt, coefficient in ((PROMPT[0].text, -1.0), (PROMPT[0].text, 2.0), ("A prompt before it?", 1.0)):
        library.add_sample(ids[0], Sample(prompt, coefficient, Completion("another text", mean_kl=9.0, perplexity=99.0)))
    (run,) = Checkpoints(library.folder).unfinished()
    again: list[Event] = []
    list(session.start(2, replace(request, resume=run), again.append))
    after = {event.key: event.completion for event in again if isinstance(event, Generated)}
    assert before.keys() == {*"01234567", "unsteered", "control:0", "control:1"}
    assert after.keys() == before.keys() | {"8", "9"}
    for key, completion in before.items():
        one, other = (replace(some.kept(), mean_kl=None, perplexity=None) for some in (after[key], completion))
        assert one == other
        assert after[key].mean_kl == pytest.approx(completion.mean_kl)
        assert after[key].perplexity == pytest.approx(completion.perplexity)


def test_a_resumed_family_has_its_controls_of_the_same_norm(session: Session, library: Library) -> None:
    request = _request(library, "ortho")
    run = _interrupted(session, request, _two_found, lambda steps: steps.close())
    kept = Checkpoints(library.folder).load(run).header
    uncut: list[Event] = []
    again: list[Event] = []
    list(session.start(2, replace(request, name="uncut"), uncut.append))
    list(session.start(3, replace(request, resume=run), again.append))
    controls = [
        [e.completion.text for e in events if isinstance(e, Generated) and e.key == "control:0" and e.completion.finished]
        for events in (uncut, again)
    ]
    assert controls[0] == controls[1]
    assert len(controls[1]) == 1
    assert kept["control_norm"] is None or kept["control_norm"] > 0


@pytest.mark.parametrize("more_steps", [0, 1, 3, 6])
def test_a_run_that_the_user_stops_samples_what_it_has_announced(session: Session, library: Library, more_steps: int) -> None:
    request = Train(PROMPT, vectors=40, batch=2, steps=3, radius=3.0, sample_tokens=5, controls=1, name="stopped")

    def stop(steps: Task) -> None:
        for _ in range(more_steps):
            next(steps)
        _told_to_end(steps)

    run = _interrupted(session, request, _two_found, stop)
    vectors, _ = library.run(run)
    assert 2 <= len(vectors) < 40
    assert all(library.sample(vector.id, PROMPT[0].text) is not None for vector in vectors)


def test_there_is_a_limit_to_that_and_resuming_makes_up_for_it(
    session: Session, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = Train(PROMPT, vectors=3, batch=1, steps=3, radius=3.0, sample_tokens=30, controls=1, name="late")
    monkeypatch.setattr(sampling, "_PARTING_SECONDS", -1.0)
    run = _interrupted(session, request, _two_found, _told_to_end)
    vectors, _ = library.run(run)
    assert [library.samples(vector.id) for vector in vectors] == [[], []]
    events: list[Event] = []
    list(session.start(2, replace(request, resume=run), events.append))
    sampled = [e.key for e in events if isinstance(e, Generated) and e.completion.finished and e.key.isdecimal()]
    assert sampled[:2] == ["0", "1"], "before anything else is trained"
    found = [i for i, e in enumerate(events) if isinstance(e, VectorFound) and e.index == 2]
    done = [i for i, e in enumerate(events) if isinstance(e, Generated) and e.key == "1" and e.completion.finished]
    assert done[0] < found[0]
    assert all(library.sample(v.id, PROMPT[0].text) is not None for v in library.run(run)[0])


def test_a_run_goes_on_when_some_of_it_was_removed_for_good(session: Session, library: Library) -> None:
    request = Train(PROMPT, vectors=4, batch=1, steps=3, radius=3.0, sample_tokens=0, controls=0, name="part")
    run = _interrupted(session, request, _two_found, lambda task: task.close())
    held, losses = library.run(run)
    library.delete([held[0].id])
    assert upkeep.empty_trash(library) == 1
    events: list[Event] = []
    list(session.start(2, replace(request, resume=run), events.append))
    assert [event.index for event in events if isinstance(event, VectorFound)] == [1, 2, 3]
    vectors, after = library.run(run)
    assert [v.id for v in vectors] == [held[1].id, f"{run}/2", f"{run}/3"]
    assert [v.name for v in vectors] == ["part-02", "part-03", "part-04"]
    assert losses is not None
    assert after is not None
    np.testing.assert_array_equal(after[0], losses[1])
    assert upkeep.check(upkeep.rebuild(library.folder)) == []


def test_closing_takes_no_longer_than_a_step(session: Session, library: Library) -> None:
    request = Train(PROMPT, vectors=9, batch=1, steps=3, radius=3.0, sample_tokens=2000, controls=0, name="quit")
    began: list[float] = []

    def stop(steps: Task) -> None:
        began.append(time.monotonic())
        steps.close()

    _interrupted(session, request, _two_found, stop)
    assert time.monotonic() - began[0] < 2


def test_a_run_that_is_under_way_elsewhere_is_not_gone_on_with(session: Session, library: Library) -> None:
    request = Train(PROMPT, vectors=4, batch=2, steps=3, radius=3.0, sample_tokens=0, controls=0, name="two")
    run = _interrupted(session, request, _two_found, lambda steps: steps.close())
    elsewhere = session.start(2, replace(request, resume=run), lambda event: None)
    next(elsewhere)
    with pytest.raises(LibraryError, match="under way in another process"):
        next(session.start(3, replace(request, resume=run), lambda event: None))
    elsewhere.close()
    list(session.start(4, replace(request, resume=run), lambda event: None))
    assert list((library.folder / "unfinished").iterdir()) == []
