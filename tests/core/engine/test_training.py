"""Training runs on a tiny model, through the task that the app and the command line use."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from core.engine.events import Event, Generated, RadiusChosen, RunStarted, Stepped, VectorFound, Warned
from core.engine.requests import Reply, ReplyRow, Train
from core.engine.session import Session
from core.errors import SettingsError
from core.model.source import default_blocks
from core.prompt import Prompt
from core.steering.terms import SteerTerm
from tests.core.steering.seeded import seeded_vector
from vectors.formats import safetensors_file
from vectors.mixture import joined
from vectors.store.library import Library
from vectors.store.trash import empty_trash


def _train(session: Session, **settings: object) -> list[Event]:
    given = {"prompts": (Prompt("How?"),), "vectors": 5, "steps": 4, "batch": 2, "sample_tokens": 4, "radius": 3.0, **settings}
    events: list[Event] = []
    for _ in session.start(7, Train(**given), events.append):  # type: ignore[arg-type]
        pass
    return events


def test_a_run_tells_all_and_keeps_all(session: Session, library: Library) -> None:
    events = _train(session)
    found = [e for e in events if isinstance(e, VectorFound)]
    assert [e.name for e in found] == [f"vector-{i:02d}" for i in range(1, 6)]
    assert [e.norm for e in found] == pytest.approx([3.0] * 5)
    steps = [(p.first, p.step) for e in events if isinstance(e, Stepped) for p in e.points]
    assert steps == [(first, step) for first in (0, 2, 4) for step in range(4)]
    last = {e.key: e.completion for e in events if isinstance(e, Generated)}
    assert set(last) == {"unsteered", *(f"control:{i}" for i in range(4)), *"01234"}
    assert all(e.finished for e in last.values())
    assert len(library.entries(kept_only=False)) == 5
    entry = library.get(found[3].id)
    assert entry.origin.radius == 3.0
    assert entry.origin.settings["steps"] == 4
    assert len(library.losses(entry.id)) == 4
    assert library.samples(entry.id)[0].completion.text == last["3"].text


def test_a_vector_that_is_removed_for_good_meanwhile_keeps_no_sample_from_the_others(
    session: Session, library: Library
) -> None:
    request = Train((Prompt("How?"),), vectors=3, steps=2, batch=1, sample_tokens=2, radius=3.0)
    events: list[Event] = []
    removed = ""
    for _ in session.start(7, request, events.append):
        if not removed and (found := [event.id for event in events if isinstance(event, VectorFound)]):
            removed = found[0]
            library.delete([removed])
            assert empty_trash(library) == 1
    left = [event.id for event in events if isinstance(event, VectorFound) and event.id != removed]
    assert len(left) == 2
    assert all(library.samples(id) for id in left)
    assert not [event for event in events if isinstance(event, Warned)]


def test_the_same_seed_finds_the_same(session: Session, library: Library) -> None:
    runs = [[library.load(e.id) for e in _train(session, seed=seed) if isinstance(e, VectorFound)] for seed in (1, 1, 2)]
    for one, same, other in zip(*runs, strict=True):
        np.testing.assert_array_equal(one.direction, same.direction)
        assert abs(one.cosine(other)) < 0.999
    assert runs[1][0].name == "vector-06"


def test_the_first_vectors_do_not_depend_on_how_many_are_asked_for(session: Session, library: Library) -> None:
    few, many = (
        [library.load(e.id) for e in _train(session, vectors=n, batch=2) if isinstance(e, VectorFound)] for n in (2, 4)
    )
    np.testing.assert_array_equal(few[1].direction, many[1].direction)


def test_a_cancelled_run_keeps_its_finished_vectors(session: Session, library: Library) -> None:
    events: list[Event] = []
    request = Train(prompts=(Prompt("How?"),), vectors=6, steps=3, batch=2, radius=2.0, sample_tokens=3)
    steps = session.start(1, request, events.append)
    while not any(isinstance(e, VectorFound) for e in events):
        next(steps)
    steps.close()
    assert len(library.entries(kept_only=False)) == 2


def test_automatic_radius_comes_with_its_curve(session: Session) -> None:
    chosen = next(e for e in _train(session, radius=None, vectors=1) if isinstance(e, RadiusChosen))
    assert chosen.automatic
    assert chosen.radius > 0
    assert len(chosen.curve) > 5


def test_out_has_vectors_and_losses_and_init_starts_from_them(session: Session, tmp_path: Path) -> None:
    out = tmp_path / "out.safetensors"
    _train(session, out=str(out), vectors=3)
    vectors, losses = safetensors_file.read_tensor(out, "vectors"), safetensors_file.read_tensor(out, "losses")
    assert vectors.shape == (3, 32)
    assert losses.shape == (3, 4)
    again = [e for e in _train(session, init=f"{out}:vectors", vectors=2) if isinstance(e, Stepped)]
    assert again[0].points[0].objective[0] >= -losses[0, -1] * 0.99
    with pytest.raises(SettingsError, match="holds 3 rows"):
        _train(session, init=str(out), vectors=4)


def test_prompts_as_ids_and_several_at_once(session: Session) -> None:
    events = _train(session, prompts=(Prompt(ids=(5, 6, 7, 8, 9, 10, 11)), Prompt("raw text", raw=True)), vectors=2)
    assert next(e for e in events if isinstance(e, RunStarted)).prompts == ("token ids 5,6,7,8,9,10,11", "raw text")


def test_wrong_settings_are_told_before_any_work(session: Session, library: Library) -> None:
    for wrong, words in (
        ({"source": 9}, "source block 9"),
        ({"target": 6}, "target block 6"),
        ({"source": 3, "target": 3}, "does not come after"),
        ({"tokens": "last:x"}, "names no tokens"),
        ({"settings": {"power": -1.0}}, "--power: a number above 0"),
        ({"prompts": (Prompt(ids=(99999,)),)}, "vocabulary"),
    ):
        with pytest.raises(Exception, match=words):
            _train(session, **wrong)
    for make in (lambda: Prompt("  "), lambda: Train(prompts=(Prompt("a"),), radius=-1.0), lambda: Train(prompts=())):
        with pytest.raises(SettingsError):
            make()
    assert not library.entries(kept_only=False)


def test_replies_under_steering_differ_and_a_stranger_s_vector_is_refused(session: Session, library: Library) -> None:
    found = next(e for e in _train(session, vectors=1, radius=20.0) if isinstance(e, VectorFound))
    term = SteerTerm(library.load(found.id))
    rows = tuple(ReplyRow(k, (("user", "How?"),), s, max_new_tokens=8) for k, s in (("on", (term,)), ("off", ())))
    events: list[Event] = []
    for _ in session.start(2, Reply(rows), events.append):
        pass
    last = {e.key: e.completion for e in events if isinstance(e, Generated)}
    assert last["on"].text != last["off"].text
    assert last["on"].kl
    assert not [e for e in events if isinstance(e, Warned)]


@pytest.mark.parametrize(("n_blocks", "blocks"), [(30, (7, 21)), (24, (5, 17)), (6, (1, 4)), (2, (0, 1)), (80, (18, 57))])
def test_default_blocks(n_blocks: int, blocks: tuple[int, int]) -> None:
    assert default_blocks(n_blocks) == blocks


def test_a_base_vector_of_many_blocks_is_refused_before_any_work(session: Session, library: Library) -> None:
    model = session.model
    (base,) = library.add([joined([seeded_vector(model, 2, 1), seeded_vector(model, 3, 2)], "control")])
    for more in ({}, {"source": 2}, {"source": 3}):
        with pytest.raises(SettingsError, match=r"control acts at blocks 2-3, and a family's vectors at one block"):
            _train(session, method="ortho", radius=None, settings={"base": base.name}, **more)
