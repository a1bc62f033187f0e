"""The worker thread with scripted tasks: order, pause, cancel, failures, merging."""

from __future__ import annotations

import queue
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from core.engine.events import Event, Progressed, Said, Stepped, StepPoint, TaskEnded, TaskPaused, TaskStarted, Warned
from core.engine.foreground import Foreground
from core.engine.handle import Handle
from core.engine.outbox import Outbox
from core.engine.requests import BACKGROUND, INTERACTIVE, Request
from core.engine.session import Emit, Session
from core.engine.worker import Engine
from core.errors import Cancelled, SettingsError
from core.processes.cancelling import end_if_cancelled

WAIT = 10.0


@dataclass(frozen=True)
class Scripted(Request):
    """Runs `steps` steps, each of which waits for `gate` if there is one."""

    task_module = "tests.core.scripted_task"
    name: str = "task"
    steps: int = 3
    urgent: bool = False
    gate: Any = None
    fault: Any = None
    parting: int = 0  # steps that it takes when it is told to end
    waits: Any = None
    log: ClassVar[list[str]] = []

    @property
    def priority(self) -> int:  # type: ignore[override]
        return INTERACTIVE if self.urgent else BACKGROUND


def _run(session: Session, request: Scripted, task: int, emit: Emit) -> Iterator[Any]:
    try:
        for step in range(request.steps):
            if request.gate is not None:
                request.gate.wait(WAIT)
            request.log.append(f"{request.name}{step}")
            emit(Progressed(task, request.name, step, request.steps))
            if request.fault is not None:
                raise request.fault
            yield request.waits
    except Cancelled:
        for step in range(request.parting):
            request.log.append(f"{request.name} parting{step}")
            emit(Progressed(task, "parting", step, request.parting))
            yield
        raise
    finally:
        request.log.append(f"{request.name} closed")


module = types.ModuleType("tests.core.scripted_task")
module.run = _run  # type: ignore[attr-defined]
sys.modules[module.__name__] = module


class Listener:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def __call__(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def wait_for(self, wanted: Callable[[Event], bool]) -> Event:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(wanted, self.events)), WAIT), self.events
            return next(event for event in self.events if wanted(event))

    def ended(self, task: Handle) -> TaskEnded:
        event = self.wait_for(lambda e: isinstance(e, TaskEnded) and e.task == task.task)
        assert isinstance(event, TaskEnded)
        assert task.wait(WAIT) == event
        return event


@pytest.fixture
def listener() -> Listener:
    Scripted.log.clear()
    return Listener()


@pytest.fixture
def engine(listener: Listener) -> Iterator[Engine]:
    engine = Engine(Session(), listener)
    yield engine
    assert engine.close()


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
    heard = sum(isinstance(e, Progressed) for e in listener.events)
    assert heard <= (time.monotonic() - began) / 0.1 + 2


def test_merging_loses_no_points_and_keeps_the_order() -> None:
    heard: list[Event] = []
    outbox = Outbox(heard.append)
    for step in range(5):
        outbox.put(Stepped(1, (StepPoint(0, step, (1.0,), (1.0,)),)))
        outbox.put(Said(1, "a", "x" * step, step, False))
        outbox.put(Said(1, "b", "y" * step, step, False))
    outbox.put(Warned(1, "now"))
    steps = [e for e in heard if isinstance(e, Stepped)]
    assert [p.step for e in steps for p in e.points] == [0, 1, 2, 3, 4]
    assert {e.key: e.text for e in heard if isinstance(e, Said)} == {"a": "xxxx", "b": "yyyy"}
    assert isinstance(heard[-1], Warned)


def test_a_listener_is_told_of_its_own_task_alone(engine: Engine, listener: Listener) -> None:
    own = Listener(), Listener()
    handles = [engine.submit(Scripted(name, 2), one) for name, one in zip(("a", "b"), own, strict=True)]
    for handle, one in zip(handles, own, strict=True):
        assert handle.wait(WAIT) == one.events[-1]
        assert handle.done
        assert {event.task for event in one.events} == {handle.task}
        assert [event for event in listener.events if event.task == handle.task] == one.events
        assert isinstance(one.events[0], TaskStarted)


def test_events_are_delivered_where_whoever_made_the_engine_wants_them() -> None:
    calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
    order: list[str] = []
    threads: set[threading.Thread] = set()

    def told(who: str) -> Callable[[Event], None]:
        return lambda event: (threads.add(threading.current_thread()), order.append(f"{who} {type(event).__name__}"))[1]

    engine = Engine(Session(), told("all"), calls.put)
    handle = engine.submit(Scripted(steps=5000), told("own"))
    assert handle.wait(WAIT) is not None, "nobody takes the calls, and the task goes on to its end"
    assert order == []
    assert engine.close()
    while not calls.empty():
        calls.get()()
    assert threads == {threading.current_thread()}
    assert order[:2] == ["own TaskStarted", "all TaskStarted"]
    assert order[-2:] == ["own TaskEnded", "all TaskEnded"]
    assert order.count("own Progressed") < 5000 / 2


def test_a_wait_ends_in_time(engine: Engine) -> None:
    gate = threading.Event()
    handle = engine.submit(Scripted(steps=1, gate=gate))
    assert handle.wait(0.05) is None
    assert not handle.done
    gate.set()
    assert handle.wait() == TaskEnded(handle.task, "done")


def test_a_listener_that_raises_ends_its_task_and_no_other(engine: Engine) -> None:
    def fail(event: Event) -> None:
        if isinstance(event, Progressed):
            raise ValueError("no room")

    other = engine.submit(Scripted("other", 100))
    handle = engine.submit(Scripted("heard", 10**9), fail)
    ended = handle.wait(WAIT)
    assert ended is not None
    assert (ended.outcome, ended.message) == ("failed", "ValueError: no room")
    assert isinstance(handle.error, ValueError)
    assert other.wait(WAIT) == TaskEnded(other.task, "done")


def test_a_listener_in_the_engine_s_thread_cannot_wait_for_it(engine: Engine) -> None:
    gate = threading.Event()
    other = engine.submit(Scripted("other", 1, gate=gate))
    handle = engine.submit(Scripted("one", 1, urgent=True), lambda event: other.wait(WAIT))
    gate.set()
    assert handle.wait(WAIT) is not None
    assert isinstance(handle.error, RuntimeError)


def test_nobody_waits_for_an_engine_that_is_gone(listener: Listener) -> None:
    engine = Engine(Session(), listener)
    assert engine.close(WAIT)
    handle = engine.submit(Scripted())
    assert handle.wait(WAIT) == TaskEnded(handle.task, "cancelled")


def test_the_foreground_works_while_somebody_waits(listener: Listener) -> None:
    engine = Foreground(Session())
    handle = engine.submit(Scripted("task", 500), listener)
    assert Scripted.log == []
    assert handle.wait(WAIT) == TaskEnded(handle.task, "done")
    assert sum(isinstance(event, Progressed) for event in listener.events) == 500, "each as it comes"


def test_in_the_foreground_a_task_is_cancelled_from_its_listener(listener: Listener) -> None:
    def stop(event: Event) -> None:
        listener(event)
        if isinstance(event, Progressed) and event.stage == "task" and event.done == 2:
            handle.cancel()

    handle = Foreground(Session()).submit(Scripted("task", 10**9, parting=2), stop)
    assert handle.wait(WAIT) == TaskEnded(handle.task, "cancelled")
    assert isinstance(handle.error, Cancelled)
    assert Scripted.log[-3:] == ["task parting0", "task parting1", "task closed"]


def test_in_the_foreground_an_interruption_closes_what_is_open(listener: Listener) -> None:
    class Interrupts:
        def wait(self, seconds: float) -> None:
            raise KeyboardInterrupt

    handle = Foreground(Session()).submit(Scripted("task", gate=Interrupts()), listener)
    with pytest.raises(KeyboardInterrupt):
        handle.wait()
    assert handle.done
    assert Scripted.log == ["task closed"]


def test_the_foreground_waits_for_a_thread(listener: Listener) -> None:
    done: Future[None] = Future()
    handle = Foreground(Session()).submit(Scripted("task", 2, waits=done), listener)
    assert handle.wait(0.1) is None
    threading.Timer(0.05, done.set_result, (None,)).start()
    assert handle.wait(WAIT) == TaskEnded(handle.task, "done")
