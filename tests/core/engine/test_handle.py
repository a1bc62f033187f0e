"""Handles on tasks and their listeners, in the engine's thread and in the foreground."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from core.engine.events import Event, Progressed, TaskEnded, TaskStarted
from core.engine.foreground import Foreground
from core.engine.session import Session
from core.engine.worker import Engine
from core.errors import Cancelled, SettingsError
from tests.core.engine.scripted_task import WAIT, Listener, Scripted


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


def test_in_the_foreground_events_are_given_as_they_are_asked_for() -> None:
    Scripted.log.clear()
    events = Foreground(Session()).events(Scripted("task", 10**9))
    assert isinstance(next(events), TaskStarted)
    assert isinstance(next(events), Progressed)
    assert Scripted.log == ["task0"], "no step is made before it is asked for"
    events.close()
    assert Scripted.log == ["task0", "task closed"]


def test_events_wait_for_a_thread_without_turning_around() -> None:
    done: Future[None] = Future()
    threading.Timer(0.3, done.set_result, (None,)).start()
    used = time.thread_time()
    events = list(Foreground(Session()).events(Scripted("task", 1, waits=done)))
    assert time.thread_time() - used < 0.2
    assert events[-1] == TaskEnded(events[-1].task, "done")


def test_events_end_with_what_ended_the_task() -> None:
    with pytest.raises(SettingsError, match="no such thing"):
        list(Foreground(Session()).events(Scripted("task", fault=SettingsError("no such thing"))))
