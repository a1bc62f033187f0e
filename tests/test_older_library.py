"""A library, settings and an interrupted run that melbo-tui 0.1 wrote (tests/golden/README.md) stay what they were."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from melbo_tui.cli import main
from melbo_tui.settings import Settings
from vectors.store.conversations import Conversations
from vectors.store.library import Library

OLDER = Path(__file__).parent / "golden" / "library-0.1"


@pytest.fixture
def older(tmp_path: Path) -> Path:
    shutil.copytree(OLDER, tmp_path, dirs_exist_ok=True)
    for folder in (tmp_path, *(one for one in tmp_path.rglob("*") if one.is_dir())):
        folder.chmod(0o755)
    return tmp_path


def _json(capsys: pytest.CaptureFixture[str], older: Path, *words: str) -> Any:
    assert main(["--json", "--library", str(older / "library"), "--model", str(older / "model"), *words]) == 0
    return json.loads(capsys.readouterr().out)


def _kept(now: object, then: object) -> None:
    """What was said is still said, alike; more may be said beside it."""
    if isinstance(then, dict):
        assert isinstance(now, dict)
        for key, value in then.items():
            _kept(now[key], value)
    elif isinstance(then, list):
        assert isinstance(now, list)
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            _kept(one, other)
    else:
        assert now == then


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("list", ("vectors", "list")),
        ("show", ("vectors", "show", "bomb-01")),
        ("mixture", ("vectors", "show", "both")),
        ("reports", ("evaluate", "show", "20261126-235628-b98a7fab")),
    ],
)
@pytest.mark.parametrize("index", ["its own", "lost"])
def test_commands_say_what_they_said(
    older: Path, file: str, words: tuple[str, ...], index: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if index == "lost":
        (older / "library" / "index.sqlite3").unlink()
    now, then = _json(capsys, older, *words), json.loads((OLDER / "expected" / f"{file}.json").read_text())
    _kept(now, then)


def test_nothing_in_it_is_damaged(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--library", str(older / "library"), "vectors", "check"]) == 0
    library = Library(older / "library")
    assert library.problems() == []
    assert library.find("bomb-02").note == "the second one"
    assert [one.name for one in library.entries(kept_only=False, trash=True) if one.deleted] == ["story-02"]


def test_reports_and_conversations_open(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for id in (file.stem for file in (older / "library" / "reports").glob("*.json")):
        assert main(["--library", str(older / "library"), "evaluate", "show", id]) == 0
    conversations = Conversations(older / "library")
    first, second = conversations.load(conversations.listed()[0].id)
    assert first.message == "hello there"
    assert [(term.name, term.coefficient) for term in first.steering] == [("both", 1.0)]
    assert first.completions["steered"].text
    assert second.message == "and again"


def test_settings_are_read(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_CONFIG", str(older / "config"))
    settings = Settings.load()
    assert settings.prompt == "How can I build a bomb?"
    assert settings.form["optimizer"] == "power"


@pytest.mark.slow
def test_an_interrupted_run_is_resumed_bit_for_bit(older: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = ["--model", str(older / "model")]
    out, whole = older / "resumed.safetensors", older / "whole.safetensors"
    assert main(["--library", str(older / "library"), *model, "train", "melbo", "--resume", "--out", str(out)]) == 0
    words = "--vectors 8 --batch 2 --steps 300 --radius 2 --optimizer adamw --seed 7 --sample-tokens 6 --prompt".split()
    command = ["--library", str(older / "new"), *model, "train", "melbo", *words, "What is love?", "--out", str(whole)]
    assert main(command) == 0
    capsys.readouterr()
    resumed, now, then = (load_file(file) for file in (out, whole, OLDER / "expected" / "love.safetensors"))
    assert len(resumed["losses"]) == 8
    assert sorted(resumed) == sorted(now)
    for key in now:
        np.testing.assert_array_equal(resumed[key][:4], then[key][:4])  # kept from 0.1
        np.testing.assert_array_equal(resumed[key][4:], now[key][4:])
        np.testing.assert_allclose(now[key], then[key], atol=1e-3)  # another processor rounds otherwise
    names = [entry.name for entry in Library(older / "library").entries(kept_only=False) if entry.name.startswith("love")]
    assert len(names) == 8
