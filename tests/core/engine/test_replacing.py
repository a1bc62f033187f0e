"""Another model in place of the loaded one: what fails costs nothing, and two never have to fit into memory."""

from __future__ import annotations

import gc
import json
import threading
import weakref
from pathlib import Path

import pytest

from core.engine.events import Event, ModelLoaded, ModelReleased, Said, TaskEnded
from core.engine.requests import LoadModel, Reply, ReplyRow, Train
from core.engine.session import Session
from core.engine.worker import Engine
from core.errors import ModelError
from core.model import memory, store
from core.model.source import ModelSpec
from core.prompt import Prompt
from tests.core.engine.scripted_task import Listener
from tests.tiny_models import save_tiny
from vectors.store.library import Library


def _load(session: Session, model: Path | str, **kwargs: object) -> list[Event]:
    events: list[Event] = []
    list(session.start(0, LoadModel(ModelSpec(str(model), device="cpu", **kwargs)), events.append))  # type: ignore[arg-type]
    return events


@pytest.fixture
def loaded(tiny_folder: Path) -> Session:
    session = Session()
    assert not any(isinstance(event, ModelReleased) for event in _load(session, tiny_folder))
    return session


def test_a_model_that_is_not_there_leaves_the_loaded_one(loaded: Session, tiny_folder: Path, tmp_path: Path) -> None:
    before, spec = loaded.model, loaded.spec
    (tmp_path / "unknown").mkdir()
    (tmp_path / "unknown" / "config.json").write_text(json.dumps({"model_type": "from-tomorrow"}))
    (tmp_path / "unknown" / "model.safetensors").write_bytes(b"")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "hollow" / "config.json").write_text((tiny_folder / "config.json").read_text())
    torn = save_tiny(tmp_path / "torn")
    (torn / "model.safetensors").write_bytes((torn / "model.safetensors").read_bytes()[:999])
    (tmp_path / "torn.gguf").write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 64)
    mistyped: list[tuple[Path | str, str | None, str]] = [
        (tmp_path / "nothing", None, "there is no model"),
        ("no-such/model-here", None, "no-such/model-here"),
        (tmp_path / "unknown", None, "no whole safetensors file .it has no header"),
        (torn, None, "no whole safetensors file"),
        (tmp_path / "hollow", None, "no weights"),
        (tmp_path / "torn.gguf", None, "could not be read"),
        (tiny_folder, str(tmp_path / "no-adapter"), "no PEFT adapter"),
    ]
    for model, adapter, words in mistyped:
        with pytest.raises(ModelError, match=words):
            _load(loaded, model, adapter=adapter)
        assert loaded.model is before
        assert loaded.spec is spec


def test_weights_that_fail_leave_no_model_and_say_that_the_old_one_went(
    loaded: Session, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.model.language_model import LanguageModel

    def load(*args: object, **kwargs: object) -> LanguageModel:
        raise ModelError("the disk went away")

    monkeypatch.setattr(LanguageModel, "load", load)
    events: list[Event] = []
    with pytest.raises(ModelError, match="the disk went away"):
        list(loaded.start(3, LoadModel(ModelSpec(str(tiny_folder), device="cpu")), events.append))
    assert [event for event in events if isinstance(event, ModelReleased)] == [ModelReleased(3)]
    assert not loaded.has_model
    assert loaded.spec is None


def test_the_old_model_is_gone_before_the_new_one_is_read(
    loaded: Session, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.model.language_model import LanguageModel

    old = weakref.ref(loaded.model.model)
    seen: list[object] = []
    load = LanguageModel.load
    monkeypatch.setattr(LanguageModel, "load", lambda *args, **kw: (seen.append(old()), load(*args, **kw))[1])
    gc.disable()  # only what the task itself collects counts
    try:
        _load(loaded, tiny_folder)
    finally:
        gc.enable()
    assert seen == [None]


def test_a_conversion_that_has_no_room_beside_the_loaded_model(
    loaded: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gguf = tmp_path / "large.gguf"
    gguf.write_bytes(b"GGUF" + b"\xff" * 1000)
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(memory, "available_memory", lambda: 2000)
    had: list[bool] = []

    def convert(*args: object) -> None:
        had.append(loaded.has_model)
        raise ModelError("no more")

    monkeypatch.setattr(store, "_converted", convert)
    for available, kept in ((100_000, True), (None, True), (2000, False)):
        monkeypatch.setattr(memory, "available_memory", lambda available=available: available)
        with pytest.raises(ModelError, match="no more"):
            _load(loaded, gguf)
        assert had[-1] is kept


def test_what_runs_goes_on_until_the_new_model_is_there(
    tiny_folder: Path, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = Listener()
    engine = Engine(Session(library), listener)
    listener.ended(engine.submit(LoadModel(ModelSpec(str(tiny_folder), device="cpu"))))
    fetched, begun = threading.Event(), threading.Event()

    def fetch(source: object, revision: object, trust: object, progress: object, convert: object) -> Path:
        begun.set()
        assert fetched.wait(20)
        return tiny_folder

    monkeypatch.setattr(store, "local_folder", fetch)
    run = engine.submit(Train((Prompt("How?"),), vectors=64, batch=1, steps=200, radius=2.0, sample_tokens=0, controls=0))
    loading = engine.submit(LoadModel(ModelSpec("owner/other", device="cpu")))
    assert begun.wait(20)
    reply = engine.submit(Reply((ReplyRow("a", (("user", "Why?"),), max_new_tokens=3),)))
    assert listener.ended(reply).outcome == "done", "the loaded model answers while another is being fetched"
    assert not any(isinstance(e, TaskEnded) and e.task == run.task for e in listener.events)
    fetched.set()
    assert listener.ended(loading).outcome == "done"
    order = [
        e
        for e in listener.events
        if isinstance(e, (ModelReleased, ModelLoaded)) or (isinstance(e, TaskEnded) and e.task == run.task)
    ]
    assert [type(e) for e in order] == [ModelLoaded, TaskEnded, ModelReleased, ModelLoaded]
    assert listener.ended(run).outcome == "cancelled"
    assert not any(isinstance(e, Said) and e.task == run.task for e in listener.events)
    assert engine.close()


def test_a_fetch_that_hangs_is_given_up_at_once(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listener = Listener()
    engine = Engine(Session(), listener)
    hang, begun = threading.Event(), threading.Event()

    def fetch(*args: object) -> Path:
        begun.set()
        hang.wait(20)
        return tiny_folder

    monkeypatch.setattr(store, "local_folder", fetch)
    loading = engine.submit(LoadModel(ModelSpec("owner/other", device="cpu")))
    assert begun.wait(20)
    loading.cancel()
    assert listener.ended(loading).outcome == "cancelled"
    assert engine.close()
    hang.set()


def test_a_session_that_is_let_go_takes_its_model_with_it(tiny_folder: Path, tmp_path: Path) -> None:
    gone = []
    for turn in range(2):
        session = Session(Library(tmp_path / str(turn)))
        _load(session, tiny_folder)
        list(session.start(1, Train((Prompt("hello"),), vectors=2, steps=2, radius=1.0, sample_tokens=2), lambda event: None))
        gone.append(weakref.ref(session.model))
        del session
    gc.collect()
    assert [one() for one in gone] == [None, None]
