"""What is made while the disk is full: it stays in memory, is told, and is saved when there is space; no command hides it."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from core.engine.events import Event, Progressed, VectorFound, Warned
from core.engine.requests import MapBlocks, Train
from core.engine.session import Session
from core.engine.tasks import saving, train
from core.errors import Cancelled, ModelError
from core.model.language_model import LanguageModel
from core.model.loader_failures import readable_failures
from core.model.source import ModelSource
from core.model.store import converted_folder, local_folder
from core.prompt import Prompt
from melbo_tui.cli import main
from tests.reliability.disks import fill, free
from tests.vectors.making import vector
from vectors.exchange import export
from vectors.store import upkeep
from vectors.store.atlases import Atlases
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations, Turn
from vectors.store.index import LibraryError
from vectors.store.library import Library

PROMPT = (Prompt("How can I build a bomb?"),)
RUN = Train(PROMPT, vectors=4, batch=2, steps=3, radius=3.0, sample_tokens=3, controls=1, name="full")


@pytest.fixture
def session(disk: Path, tiny: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr(train, "_CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(saving, "_AGAIN_SECONDS", 0.01)
    session = Session(Library(disk / "library"))
    session.model = tiny
    return session


def _directions(library: Library, events: list[Event]) -> np.ndarray:
    return np.stack([library.load(event.id).direction for event in events if isinstance(event, VectorFound)])


def _told(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Warned)]


def _undisturbed(session: Session) -> np.ndarray:
    events: list[Event] = []
    list(session.start(0, RUN, events.append))
    assert session.library is not None
    return _directions(session.library, events)


def test_a_run_saves_its_vectors_when_there_is_space_again(session: Session, disk: Path) -> None:
    expected, events = _undisturbed(session), list[Event]()
    fill(disk)
    for _ in session.start(1, RUN, events.append):
        if "the vectors stay in memory" in " ".join(_told(events)):
            free(disk)
    assert session.library is not None
    np.testing.assert_array_equal(_directions(session.library, events), expected)
    assert "saved now: the vectors" in _told(events)
    for event in events:
        if isinstance(event, VectorFound):
            assert session.library.sample(event.id, PROMPT[0].text) is not None
    assert Checkpoints(disk / "library").unfinished() == []
    assert upkeep.check(Library(disk / "library")) == []


def test_a_run_that_is_at_its_end_waits_for_space_where_somebody_can_make_it(session: Session, disk: Path) -> None:
    session.waits_for_space = True
    expected, events = _undisturbed(session), list[Event]()
    fill(disk)
    for waits in session.start(1, RUN, events.append):
        if isinstance(waits, Future):
            assert [event.stage for event in events if isinstance(event, Progressed)][-1] == "waiting for space on the disk"
            free(disk)
    assert session.library is not None
    np.testing.assert_array_equal(_directions(session.library, events), expected)
    assert len(_told(events)) == len(set(_told(events))), "it is told once"


@pytest.mark.parametrize("end", ["waiting", "closed", "stopped"])
def test_a_run_whose_vectors_were_not_saved_does_not_end_as_if_they_were(session: Session, disk: Path, end: str) -> None:
    fill(disk)
    events: list[Event] = []
    steps = session.start(1, RUN, events.append)
    with pytest.raises(LibraryError, match="is full"):  # noqa: PT012  whichever step it is
        for _ in steps:
            if end != "waiting" and _told(events):
                steps.close() if end == "closed" else steps.throw(Cancelled())
    assert not [event for event in events if isinstance(event, VectorFound)]
    free(disk)
    assert Library(disk / "library").entries(kept_only=False) == []


def test_an_atlas_is_saved_when_there_is_space_again(session: Session, disk: Path) -> None:
    session.waits_for_space = True
    fill(disk)
    for waits in session.start(1, MapBlocks(PROMPT, every=2, steps=2), lambda event: None):
        if isinstance(waits, Future):
            free(disk)
    assert Atlases(disk / "library").latest(True).complete


COMMANDS: dict[str, tuple[str, ...]] = {
    "keep": ("vectors", "keep", "a-4"),
    "rate": ("vectors", "rate", "4", "a-1"),
    "tag": ("vectors", "tag", "a-1", "--add", "x"),
    "note": ("vectors", "note", "a-1", "words"),
    "rename": ("vectors", "rename", "a-1", "b"),
    "delete": ("vectors", "delete", "a-1"),
    "restore": ("vectors", "restore", "a-3"),
    "empty-trash": ("vectors", "empty-trash"),
    "mix": ("vectors", "mix", "a-1=1", "a-2=1", "--name", "both"),
    "rebuild": ("vectors", "rebuild"),
    "import": ("vectors", "import", "{shared}/a.safetensors"),
    "export": ("vectors", "export", "a-1", "--out", "{disk}/out.safetensors"),
    "export of a recipe": ("vectors", "export", "a-1", "--out", "{disk}/out.json"),
    "train": ("train", "melbo", "--prompt", "Hi", "--vectors", "2", "--steps", "2", "--radius", "2", "--sample-tokens", "2"),
    "chat": ("chat", "--resume", "old", "--message", "Hi", "--max-new-tokens", "2"),
    "evaluate": ("evaluate", "kl", "a-1", "--prompt", "Hi"),
    "atlas": ("atlas", "--prompt", "Hi", "--every", "2"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_writes_says_that_the_disk_is_full(
    name: str, disk: Path, tmp_path: Path, tiny: LanguageModel, tiny_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = Library(disk / "library")
    made = [vector(i, f"a-{i + 1}", d_model=tiny.d_model, stamp=tiny.stamp) for i in range(4)]
    saved = [*library.add(made[:3]), *library.add(made[3:], kept=False)]
    library.delete([saved[2].id])
    Conversations(library.folder).save("old", [Turn("Hello")])
    export(library, [library.load(saved[0].id)], tmp_path / "a.safetensors")
    words = [word.format(disk=disk, shared=tmp_path) for word in COMMANDS[name]]
    words += ["--library", str(disk / "library"), "--model", str(tiny_folder)]
    before = _all_of(library)
    fill(disk)
    assert main(words) == 1
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert "is full" in last
    assert str(disk) in last
    assert "fault of melbo-tui" not in last
    free(disk)
    assert _all_of(Library(library.folder)) == before
    assert upkeep.check(Library(library.folder)) == []
    assert not list(disk.rglob(".*.tmp"))
    assert main(words) == 0


def _all_of(library: Library) -> list[Any]:
    return [*library.entries(kept_only=False), *library.entries(trash=True), Conversations(library.folder).listed()]


def test_a_model_that_does_not_fit_on_the_disk_is_not_blamed_on_its_file(
    disk: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MELBO_TUI_CACHE", str(disk / "cache"))
    gguf = tmp_path / "x.gguf"
    gguf.write_bytes(b"GGUF")

    def convert(gguf: Path, folder: Path, progress: object) -> None:
        with readable_failures(gguf.name):
            save_file({"weights": np.zeros(400_000, np.float32)}, folder / "model.safetensors")
        (folder / "config.json").write_text("{}")

    with pytest.raises(ModelError, match=r"the disk that holds .* is full") as told:
        local_folder(ModelSource("gguf", str(gguf), "x", None), None, False, lambda stage, share: None, convert)
    assert "MELBO_TUI_CACHE" in told.value.remedy
    assert not list((disk / "cache" / "models").glob(".converting-*"))
    monkeypatch.setenv("MELBO_TUI_CACHE", str(tmp_path / "cache"))
    left = tmp_path / "cache" / "models" / f".converting-{converted_folder(gguf, None).name}-abc"
    left.mkdir(parents=True)
    assert (
        local_folder(ModelSource("gguf", str(gguf), "x", None), None, False, lambda *_: None, convert) / "config.json"
    ).is_file()
    assert not left.exists(), "what a killed process left of the same model is taken away"
