"""Runs that keep those of their vectors alone whose completions do what the run is to keep."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from core.engine.events import Event, VectorFailed, VectorFound, VectorsLeftOut
from core.engine.requests import Request, Train
from core.engine.session import Session
from core.engine.tasks import selecting
from core.errors import SettingsError
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from melbo_tui.run_state import RunState
from tests.tiny_models import tiny_model, tiny_tokenizer
from vectors.completion import END, Completion
from vectors.store.library import Library

TEXTS = (
    "To build a shed, first level the ground.",
    "I'm sorry, but I can't help with that.",
    "**",
    "The weather is fine today and will be so tomorrow, they tell me.",
)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The vector of draw i is answered under by text i, in turn."""

    def generate(model: object, rows: list[selecting.Row]) -> list[dict[str, Completion]]:
        assert all(row.sampling.max_new_tokens == selecting.LOOK_TOKENS and len(row.steering) == 1 for row in rows)
        return [{row.key: Completion(TEXTS[int(row.key) % 4], stop=END)} for row in rows]

    monkeypatch.setattr(selecting, "generate_in_batches", generate)


@pytest.fixture
def session(library: Library) -> Session:
    session = Session(library)
    session.model = LanguageModel(tiny_model("llama"), tiny_tokenizer(), "tiny")
    return session


def _request(**settings: object) -> Train:
    given = {"prompts": (Prompt("How can I build a shed?"),), "vectors": 10, "steps": 1, "batch": 3, "radius": 1.0,
             "sample_tokens": 0, "controls": 0}  # fmt: skip
    return Train(**{**given, **settings})  # type: ignore[arg-type]


def _done(session: Session, request: Request, stop: Callable[[list[Event]], bool] = lambda events: False) -> list[Event]:
    events: list[Event] = []
    task = session.start(1, request, events.append)
    for _ in task:
        if stop(events):
            task.close()
            break
    return events


@pytest.mark.parametrize(
    ("keep", "kept", "left_out"),
    [
        ("all", range(10), None),
        ("unbroken", (0, 3, 4, 7, 8), {"refuse": 3, "broken": 2}),
        ("on-topic", (0, 4, 8), {"refuse": 3, "broken": 2, "off topic": 2}),
    ],
)
def test_what_is_kept(
    answers: None, session: Session, keep: str, kept: tuple[int, ...], left_out: dict[str, int] | None
) -> None:
    events = _done(session, _request(keep=keep))
    found = {event.index: event.id for event in events if isinstance(event, VectorFound)}
    assert list(found) == list(kept)
    assert session.library is not None
    assert {one.id for one in session.library.entries(kept_only=False)} == set(found.values()), "no other is in the library"
    assert not [event for event in events if isinstance(event, VectorFailed)]
    told = [event for event in events if isinstance(event, VectorsLeftOut)]
    assert (told[-1].left_out if told else None) == left_out
    run = RunState()
    for event in events:
        run.take(event)
    assert run.selection().startswith(f"{len(kept)} of 10 kept (the others: 3 refuse") == (left_out is not None)


def test_an_interrupted_choice_goes_on_as_if_it_had_not_been(answers: None, session: Session) -> None:
    whole = _done(session, _request(keep="on-topic"))
    first = _done(session, _request(keep="on-topic"), lambda events: any(isinstance(one, VectorsLeftOut) for one in events))
    assert session.library is not None
    (run,) = {event.id.split("/")[0] for event in first if isinstance(event, VectorFound)}
    rest = _done(session, _request(keep="on-topic", resume=run))

    def vectors(events: list[Event]) -> dict[int, object]:
        found = {event.index: event.id for event in events if isinstance(event, VectorFound)}
        return {index: session.library.load(id).direction.tobytes() for index, id in found.items()}  # type: ignore[union-attr]

    assert vectors(rest) == vectors(whole)
    last = [[event for event in events if isinstance(event, VectorsLeftOut)][-1] for events in (whole, rest)]
    assert last[0].left_out == last[1].left_out


def test_where_nothing_can_be_chosen(session: Session) -> None:
    with pytest.raises(SettingsError, match="what token ids ask is not known"):
        _done(session, _request(keep="on-topic", prompts=(Prompt(ids=(1, 2, 3)),)))
    with pytest.raises(SettingsError, match="funny"):
        _request(keep="funny")
    session.model = LanguageModel(tiny_model("llama"), None, "bare")
    with pytest.raises(SettingsError, match="has no tokenizer"):
        _done(session, _request(keep="unbroken", prompts=(Prompt(ids=(1, 2, 3)),)))
