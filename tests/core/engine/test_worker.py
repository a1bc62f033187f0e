"""The worker thread with scripted tasks: order, pause, cancel, failures, merging."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future

import pytest

from core.engine.events import Event, Generated, Progressed, Stepped, StepPoint, TaskEnded, TaskPaused, TaskStarted, Warned
from core.engine.outbox import Outbox
from core.engine.session import Session
from core.engine.worker import Engine
from core.errors import SettingsError
from core.processes.cancelling import end_if_cancelled
from tests.completions import generated
from tests.core.engine.scripted_task import WAIT, Listener, Scripted


def test_tasks_start_step_and_end(engine: Engine, listener: Listener) -> None:
    task = engine.submit(Scripted())
    assert listener.ended(task).outcome == "done"
    assert isinstance(listener.events[0], TaskStarted)
    assert Scripted.log == ["task0", "task1", "task2", "task closed"]


def test_the_urgent_run_between_the_steps_of_the_others(engine: Engine, listener: Listener) -> None:
    gate = threading.Event()
    training = engine.submit(Scripted("train", 4, gate=gate))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    chat = engine.submit(Scripted("chat", 2, urgent=True))
    gate.set()
    listener.ended(training)
    listener.ended(chat)
    assert Scripted.log[:4] == ["train0", "chat0", "chat1", "chat closed"]


def test_pause_holds_and_lets_others_run(engine: Engine, listener: Listener) -> None:
    gate = threading.Event()
    task = engine.submit(Scripted("train", 3, gate=gate))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    task.pause()
    gate.set()
    other = engine.submit(Scripted("other", 1))
    listener.ended(other)
    assert "train2" not in Scripted.log
    assert not any(isinstance(e, TaskEnded) and e.task == task.task for e in listener.events)
    task.resume()
    assert listener.ended(task).outcome == "done"
    assert [e.paused for e in listener.events if isinstance(e, TaskPaused)] == [True, False]


def test_cancel_closes_the_generator_even_while_paused(engine: Engine, listener: Listener) -> None:
    gate = threading.Event()
    task = engine.submit(Scripted(steps=1000, gate=gate))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    task.pause()
    gate.set()
    task.cancel()
    assert listener.ended(task).outcome == "cancelled"
    assert Scripted.log[-1] == "task closed"
    task.cancel()  # a task that has ended is no fault


def test_a_task_that_is_cancelled_may_finish_what_is_cheap(engine: Engine, listener: Listener) -> None:
    gate = threading.Event()
    task = engine.submit(Scripted("train", 1000, gate=gate, parting=2))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    task.pause()
    gate.set()
    task.cancel()
    assert listener.ended(task).outcome == "cancelled"
    assert Scripted.log[-3:] == ["train parting0", "train parting1", "train closed"]
    assert [e.paused for e in listener.events if isinstance(e, TaskPaused)] == [True, False], (
        "nobody waits for its pause to end"
    )


def test_cancelled_twice_it_ends_at_once(engine: Engine, listener: Listener) -> None:
    task = engine.submit(Scripted("train", 10**9, parting=10**9))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    task.cancel()
    listener.wait_for(lambda e: isinstance(e, Progressed) and e.stage == "parting")
    task.cancel()
    assert listener.ended(task).outcome == "cancelled"


class _Wait:
    """Waits within a step, as for a process that does not answer."""

    def __init__(self) -> None:
        self.begun = threading.Event()

    def wait(self, seconds: float) -> None:
        self.begun.set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            end_if_cancelled()
            time.sleep(0.01)


def test_a_wait_within_a_step_ends_with_the_task_or_the_engine(listener: Listener) -> None:
    engine = Engine(Session(), listener)
    began = time.monotonic()
    wait = _Wait()
    task = engine.submit(Scripted("cancelled", gate=wait))
    assert wait.begun.wait(WAIT)
    task.cancel()
    assert listener.ended(task).outcome == "cancelled"
    wait = _Wait()
    task = engine.submit(Scripted("closed", gate=wait))
    assert wait.begun.wait(WAIT)
    assert engine.close(WAIT)
    assert listener.ended(task).outcome == "cancelled"
    assert time.monotonic() - began < WAIT / 2


def test_closing_the_engine_leaves_no_time_for_that(listener: Listener) -> None:
    engine = Engine(Session(), listener)
    engine.submit(Scripted("train", 10**9, parting=10**9))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    assert engine.close(WAIT)
    assert "train parting1" not in Scripted.log, "no further than to its next step"


def test_others_run_while_a_task_waits_for_a_thread(engine: Engine, listener: Listener) -> None:
    done: Future[None] = Future()
    waiting = engine.submit(Scripted("load", 2, urgent=True, waits=done))
    other = engine.submit(Scripted("train", 2))
    assert listener.ended(other).outcome == "done"
    assert Scripted.log == ["load0", "train0", "train1", "train closed"]
    done.set_result(None)
    assert listener.ended(waiting).outcome == "done"


@pytest.mark.parametrize(
    ("fault", "message", "remedy"),
    [
        (SettingsError("wrong block", "use another"), "wrong block", "use another"),
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero", "fault of melbo-tui"),
        (MemoryError(), "out of memory", "fewer vectors"),
    ],
)
def test_faults_become_events_and_the_thread_lives(
    engine: Engine, listener: Listener, fault: Exception, message: str, remedy: str
) -> None:
    ended = listener.ended(engine.submit(Scripted(fault=fault)))
    assert (ended.outcome, ended.message) == ("failed", message)
    assert remedy in ended.remedy
    assert listener.ended(engine.submit(Scripted())).outcome == "done"


def test_close_ends_what_runs(listener: Listener) -> None:
    engine = Engine(Session(), listener)
    engine.submit(Scripted(steps=10**9))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    assert engine.close(WAIT)
    assert Scripted.log[-1] == "task closed"


def test_a_step_that_has_nothing_to_keep_is_not_waited_for(listener: Listener) -> None:
    class Loading(Scripted):
        puts_away = False

    engine, gate = Engine(Session(), listener), threading.Event()
    engine.submit(Loading(gate=gate))
    listener.wait_for(lambda e: isinstance(e, TaskStarted))
    began = time.monotonic()
    assert not engine.close(WAIT)
    assert time.monotonic() - began < WAIT / 2
    gate.set()


def test_a_fault_of_the_thread_s_own_lets_tasks_put_away(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, failed = Engine(Session(), listener), threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda args: failed.set())

    def fail() -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(engine._outbox, "flush_if_due", fail)
    Scripted.log.clear()
    handle = engine.submit(Scripted(steps=100))
    assert failed.wait(WAIT)
    assert Scripted.log == ["task0", "task closed"]
    ended = handle.wait(WAIT)
    assert ended is not None
    assert ended.outcome == "failed"


def test_a_fast_task_does_not_flood(engine: Engine, listener: Listener) -> None:
    began = time.monotonic()
    listener.ended(engine.submit(Scripted(steps=5000)))
    received = sum(isinstance(e, Progressed) for e in listener.events)
    assert received <= (time.monotonic() - began) / 0.1 + 2


def test_merging_loses_no_points_and_keeps_the_order() -> None:
    received: list[Event] = []
    outbox = Outbox(received.append)
    for step in range(5):
        outbox.put(Stepped(1, (StepPoint(0, step, (1.0,), (1.0,)),)))
        outbox.put(generated(1, "a", "x" * step, step, False))
        outbox.put(generated(1, "b", "y" * step, step, False))
    outbox.put(Warned(1, "now"))
    steps = [e for e in received if isinstance(e, Stepped)]
    assert [p.step for e in steps for p in e.points] == [0, 1, 2, 3, 4]
    assert {e.key: e.completion.text for e in received if isinstance(e, Generated)} == {"a": "xxxx", "b": "yyyy"}
    assert isinstance(received[-1], Warned)
