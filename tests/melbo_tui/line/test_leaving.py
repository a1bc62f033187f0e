"""In which order the program leaves, and what counts as asking twice. The signals themselves are in tests/reliability."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from melbo_tui.line.leaving import Leaving
from melbo_tui.log import log_file, logged


class App:
    """Notes what it is told; calls at once, unless it is `stuck`."""

    is_real = False
    stuck = False
    has_loop = True

    def __init__(self, step: float = 0.0) -> None:
        self.told: list[object] = []
        self._step = step

    def in_the_loop(self, call: Callable[[], object]) -> bool:
        if self.has_loop and not self.stuck:
            call()
        return self.has_loop

    def put_away(self) -> None:
        self.told.append("put away")

    def crash(self, error: BaseException) -> None:
        self.told.append(str(error))

    def close_engine(self, seconds: float) -> bool:
        time.sleep(self._step)
        self.told.append("engine")
        return True

    def finish(self, code: int) -> None:
        self.told.append(code)

    def hang_up(self) -> None:
        self.told.append("hung up")

    def restore_terminal(self) -> None:
        self.told.append("restored")


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_order() -> None:
    app = App()
    Leaving(app).begin(3)
    until(lambda: 3 in app.told)
    assert app.told == ["put away", "engine", 3]


def test_an_app_that_is_stuck_does_not_cost_what_was_being_written() -> None:
    app = App()
    app.stuck = True
    Leaving(app).begin()
    until(lambda: "put away" in app.told)
    assert app.told == ["engine", "put away"]


def test_what_takes_the_app_long_to_put_away_is_put_away_once() -> None:
    class Slow(App):
        def in_the_loop(self, call: Callable[[], object]) -> bool:
            threading.Thread(target=call).start()
            return True

        def put_away(self) -> None:
            self.told.append("put away")
            time.sleep(0.6)
            self.told.append("kept")

    app = Slow()
    Leaving(app).begin(3)
    until(lambda: 3 in app.told)
    assert app.told == ["put away", "engine", "kept", 3]


def test_before_the_app_is_there_the_terminal_alone_is_put_back() -> None:
    app = App()
    app.has_loop = False
    Leaving(app).begin(143)
    until(lambda: app.told)
    assert app.told == ["restored"]


@pytest.mark.parametrize(("apart", "at_once"), [(0.05, False), (0.4, True)])
def test_a_second_signal_is_one_that_comes_later(apart: float, at_once: bool) -> None:
    app = App(step=0.6)
    leaving = Leaving(app)
    with leaving.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(apart)
        os.kill(os.getpid(), signal.SIGTERM)
        until(lambda: 128 + signal.SIGTERM in app.told)
    assert ("restored" in app.told) == at_once


def test_a_line_that_drops_tells_of_it_more_than_once() -> None:
    app = App(step=0.6)
    leaving = Leaving(app)
    leaving.hung_up()
    time.sleep(0.4)
    leaving.hung_up()
    until(lambda: 128 + signal.SIGHUP in app.told)
    assert app.told == ["hung up", "put away", "engine", 128 + signal.SIGHUP]


def test_signals_that_are_to_be_ignored_are() -> None:
    app = App()
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Leaving(app).listening():
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.1)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
    assert app.told == []


def test_a_thread_that_dies_ends_the_app() -> None:
    app = App()

    def fail() -> None:
        raise RuntimeError("a fault")

    with Leaving(app).listening():
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
    assert app.told == ["a fault"]


def test_a_thread_that_dies_ends_the_app_also_while_there_is_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MELBO_TUI_LOG", str(tmp_path))
    app = App()
    with Leaving(app).listening(), logged("the app"):
        thread = threading.Thread(target=lambda: 1 / 0, name="worker")
        thread.start()
        thread.join()
    assert app.told == ["division by zero"]
    assert "the thread worker ended" in log_file().read_text()
