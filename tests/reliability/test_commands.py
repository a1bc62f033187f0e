"""Commands without the app: SIGTERM and SIGHUP end them as Ctrl-C does, and the exit code tells which it was."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.reliability.terminal import PROGRAM, Terminal
from vectors.store.checkpoints import Checkpoints


def words(tiny: Path, folder: Path) -> list[str]:
    options = ["--model", str(tiny), "--library", str(folder / "library"), "--vectors", "800", "--steps", "400"]
    return [*PROGRAM, "train", "melbo", "--prompt", "Hi there", *options]


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, marks=pytest.mark.soak),
        pytest.param(signal.SIGINT, marks=pytest.mark.soak),
    ],
)
def test_a_run_is_ended_at_its_step(number: signal.Signals, tiny_chat: Path, tmp_path: Path) -> None:
    with Terminal(words(tiny_chat, tmp_path)) as terminal:
        terminal.wait_for("training", 60)
        terminal.signal(number)
        assert terminal.wait_end(20) < 3
        assert terminal.process.returncode == 128 + number
    assert len(Checkpoints(tmp_path / "library").unfinished()) == 1


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_a_run_in_order(tiny_chat: Path, tmp_path: Path) -> None:
    with Terminal(words(tiny_chat, tmp_path)) as terminal:
        terminal.wait_for("training", 60)
        terminal.hang_up()
        assert terminal.wait_end(20) < 3
        assert terminal.process.returncode == 128 + signal.SIGHUP
    assert len(Checkpoints(tmp_path / "library").unfinished()) == 1


@pytest.mark.slow
def test_nohup_lets_a_run_go_on(tiny_chat: Path, tmp_path: Path) -> None:
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            ["nohup", *words(tiny_chat, tmp_path), "--json"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        ) as process,
    ):
        end = time.monotonic() + 60
        while "Stepped" not in (tmp_path / "log").read_text():
            assert time.monotonic() < end
            time.sleep(0.1)
        process.send_signal(signal.SIGHUP)
        time.sleep(1)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 128 + signal.SIGTERM
