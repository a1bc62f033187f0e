"""Every way to end the app ends it as Ctrl+Q does: what is in hand is kept, the terminal is as it was, soon."""

from __future__ import annotations

import itertools
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.reliability.program import LONG, chat, command, idle, program, running, settings, train
from tests.reliability.terminal import PROGRAM, Terminal
from vectors.store.checkpoints import Checkpoints
from vectors.store.conversations import Conversations

_SLOW, _LATER = pytest.mark.slow, pytest.mark.soak
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def loading(terminal: Terminal) -> None:
    terminal.wait_for("loading")
    time.sleep(0.7)  # torch is being imported, which reacts to nothing


def training(terminal: Terminal) -> None:
    idle(terminal)
    train(terminal)
    time.sleep(0.3)


def answering(terminal: Terminal) -> None:
    idle(terminal)
    chat(terminal, "Tell me of the sea")
    terminal.wait_for("tokens/s")


def asking(terminal: Terminal) -> None:
    idle(terminal)
    terminal.send("\x10")
    terminal.wait_for("Search")


STATES: tuple[Callable[[Terminal], None], ...] = (idle, loading, training, answering, asking)


def check_left(terminal: Terminal, folder: Path, state: Callable[[Terminal], None], code: int, most: float) -> None:
    """That the program has ended in order, within `most` seconds, and what it was at is kept."""
    took = terminal.wait_end(20)
    print(f"FIGURE | {state.__name__}, exit code {code} | {took:.2f} s")
    assert terminal.process.returncode == code
    assert took < most
    time.sleep(0.1)  # for what was written last
    assert terminal.modes_left_on() == set()
    assert terminal.echoes()
    check_kept(folder, state)


def check_kept(folder: Path, state: Callable[[Terminal], None]) -> None:
    runs = Checkpoints(folder / "library").unfinished()
    assert len(runs) == (state is training)
    talks = Conversations(folder / "library").listed()
    assert [talk.message for talk in talks] == (["Tell me of the sea"] if state is answering else [])


CASES = [(signal.SIGTERM, state) for state in STATES if state is not idle]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "state"), CASES)
def test_a_signal(number: signal.Signals, state: Callable[[Terminal], None], tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG, answers=True) as terminal:
        state(terminal)
        terminal.signal(number)
        check_left(terminal, tmp_path, state, 128 + number, most=1.5)


@pytest.mark.soak
@pytest.mark.parametrize(("number", "state"), [case for case in itertools.product(SIGNALS, STATES) if case not in CASES])
def test_any_signal_at_any_time(
    number: signal.Signals, state: Callable[[Terminal], None], tiny_chat: Path, tmp_path: Path
) -> None:
    test_a_signal(number, state, tiny_chat, tmp_path)


@pytest.mark.slow
def test_a_run_that_was_ended_is_taken_up_again(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form={"vectors": "16", "steps": "200"}) as terminal:
        training(terminal)
        terminal.send("\x11")
        check_left(terminal, tmp_path, training, 0, most=1.5)
    words = ["train", "melbo", "--resume", "--library", str(tmp_path / "library"), "--model", str(tiny_chat)]
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert not Checkpoints(tmp_path / "library").unfinished()


@pytest.mark.slow
def test_a_parent_that_keeps_the_hangup_to_itself(tiny_chat: Path, tmp_path: Path) -> None:
    # As make does: the terminal's first process is told, and its child is not.
    app = shlex.join(command(tiny_chat, tmp_path))
    with Terminal(["sh", "-c", f"trap : HUP; {app}; exit 0"], environment=settings(tmp_path, LONG)) as terminal:
        training(terminal)
        process = running(tmp_path)
        began = time.monotonic()
        terminal.hang_up()
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < began + 2
            time.sleep(0.01)
        check_kept(tmp_path, training)


SLOW_STEPS = """
import time, core.engine.stepping
step = core.engine.stepping.Stepper._step
def slow(self, task):
    step(self, task)
    if task.stage.startswith("training"):
        time.sleep(5)
core.engine.stepping.Stepper._step = slow
"""


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once(tmp_path: Path, tiny_chat: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG, changed=SLOW_STEPS) as terminal:
        training(terminal)
        terminal.signal(signal.SIGTERM)
        time.sleep(0.6)
        assert terminal.process.poll() is None
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_end(5) < 1
        assert terminal.process.returncode == 128 + signal.SIGTERM
        time.sleep(0.1)
        assert terminal.modes_left_on() == set()
        assert terminal.echoes()


@pytest.mark.slow
def test_a_terminal_that_is_closed(tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG) as terminal:
        training(terminal)
        terminal.hang_up()
        took = terminal.wait_end(20)
        print(f"FIGURE | closed terminal, training | {took:.2f} s")
        assert terminal.process.returncode == 128 + signal.SIGHUP
        assert took < 2
        check_kept(tmp_path, training)


CRASHES = {
    "in the app": """
import melbo_tui.app
def fail(self):
    raise RuntimeError("a fault in the app")
melbo_tui.app.MelboApp.action_guide = fail
""",
    "in a worker": """
import asyncio, melbo_tui.app
async def fail():
    raise RuntimeError("a fault in a worker")
melbo_tui.app.MelboApp.action_guide = lambda self: self.run_worker(fail())
""",
    "in the engine": """
import core.engine.outbox, melbo_tui.app
failing = []
flush = core.engine.outbox.Outbox.flush_if_due
def fail(self):
    if failing:
        raise RuntimeError("a fault in the engine")
    flush(self)
core.engine.outbox.Outbox.flush_if_due = fail
melbo_tui.app.MelboApp.action_guide = lambda self: failing.append(1)
""",
}


@pytest.mark.parametrize("where", [pytest.param(where, marks=_LATER if "worker" in where else _SLOW) for where in CRASHES])
def test_a_crash(where: str, tiny_chat: Path, tmp_path: Path) -> None:
    with program(tiny_chat, tmp_path, form=LONG, changed=CRASHES[where]) as terminal:
        training(terminal)
        terminal.send("?")
        check_left(terminal, tmp_path, training, 1, most=4)
        assert b"a fault in" in bytes(terminal.written[-20000:])


@pytest.mark.parametrize(
    "how", [pytest.param("closed", marks=pytest.mark.soak), pytest.param("SIGTERM", marks=pytest.mark.slow)]
)
def test_the_default_model(how: str, tmp_path: Path) -> None:
    with program("bundled", tmp_path) as terminal:
        idle(terminal, 180)
        train(terminal)
        terminal.hang_up() if how == "closed" else terminal.signal(signal.SIGTERM)
        took = terminal.wait_end(20)
        print(f"FIGURE | {how} while the default model trains | {took:.2f} s")
        assert took < 2
        check_kept(tmp_path, training)
