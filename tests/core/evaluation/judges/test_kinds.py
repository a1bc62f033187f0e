"""Which kind of judge a word means, and a chat model as judge."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from core.errors import MelboError, SettingsError
from core.evaluation.judges import JUDGES, judge_of
from core.evaluation.judges.chat_model import ChatModelJudge
from core.evaluation.judges.command import CommandJudge
from core.evaluation.judges.endpoint import EndpointJudge
from core.evaluation.judges.judge import Wanted
from tests.core.evaluation.judges.conftest import QUESTIONS, Ask


def test_the_kind_of_a_word(tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "bin" / "judge"
    program.parent.mkdir()
    program.touch(mode=0o755)
    (tmp_path / "judge.py").touch(mode=0o755)
    (program.parent / "bundled").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    kinds = {
        "bundled": ChatModelJudge,
        str(tiny_folder): ChatModelJudge,
        "owner/name": ChatModelJudge,
        "model:owner": ChatModelJudge,
        "bin/judge": CommandJudge,
        "./judge.py": CommandJudge,
        "cat": CommandJudge,
        f"{sys.executable} judge.py": CommandJudge,
        "command:bundled": CommandJudge,
        f"cat {'x' * 10_000}": CommandJudge,
        "http://localhost#m": EndpointJudge,
        "HTTPS://host/v1#m": EndpointJudge,
    }
    assert {what: type(judge_of(Wanted(what))) for what in kinds} == kinds


@pytest.mark.parametrize("what", ["nonsense", "command:nonsense --x", "./nowhere.py"])
def test_a_program_that_is_not_there_is_told_before_anything_is_asked(what: str) -> None:
    with pytest.raises(SettingsError, match="no program that is here"):
        judge_of(Wanted(what))


def test_every_kind_says_what_it_is() -> None:
    assert list(JUDGES.own) == ["endpoint", "model", "command"]
    assert all(JUDGES[name].summary for name in JUDGES.own)


def test_a_model_of_noise_is_a_judge_that_is_not_understood(ask: Ask, tiny_folder: Path) -> None:
    found = ask(str(tiny_folder))
    assert found.trouble is None
    assert found.asked == found.misunderstood + found.judged == len(QUESTIONS)


def test_a_model_that_is_not_there_is_one_line(ask: Ask, tmp_path: Path) -> None:
    with pytest.raises(MelboError):
        ask(f"model:{tmp_path}")
