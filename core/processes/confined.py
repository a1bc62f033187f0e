"""What strangers' files ask to be computed, templates and patterns, in a process of its own with limits of time and memory.

One process serves all calls, one after another, and is started anew where a call was too much for it.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core.errors import MelboError, line_of
from core.processes.cancelling import end_if_cancelled
from core.processes.children import environment, python
from core.processes.confined_worker import LENGTH

# A template takes milliseconds. Time is what the call computes, so that a busy machine shortens nothing.
SECONDS = 2.0
_MEMORY = 512 << 20
_WALL_SECONDS = 60.0  # for a process that neither computes nor answers, and where the system knows no timer
_START_SECONDS = 120.0
_LOOK_SECONDS = 0.1  # between two looks whether the task that waits is to end
_CLOSING_SECONDS = 1.0
_LONGEST_ANSWER = 1 << 30


class Exceeded(Exception):
    """A call that took more than it may; in words, behind its subject: `takes more than ...`."""


class Raised(Exception):
    """What the function raised, as one line."""


class Confined:
    """The process. Calls may come from any thread."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._fresh = True  # no limits are set in it

    def warm(self, function: str) -> None:
        """Starts the process and lets it import `function`, `module:name`, without waiting for either."""
        with self._lock:
            if self._process is None:
                try:
                    self._send({"call": function, "warm": True})
                except OSError:
                    self._stop()  # the first call says so
                    return
                self._owed = 1

    def call(self, function: str, given: Mapping[str, Any], most: int = 1 << 20) -> Any:
        """What `function`, `module:name` or `:name` of the worker's own, gives for the JSON values `given`: JSON of at most
        `most` characters. Raises Exceeded, Raised, Cancelled within a task that is to end, or MelboError where there can be
        no such process.
        """
        with self._alone():
            try:
                alive = self._process is not None and self._process.poll() is None
                if not alive:
                    self._stop()
                    self._send({"call": function, "warm": True})
                    self._owed = 1
                while self._owed:
                    self._owed -= 1
                    self._receive(_START_SECONDS)
                first, self._fresh = self._fresh, False
                self._send(
                    {"call": function, "given": given, "most": most, "seconds": SECONDS, "memory": _MEMORY if first else 0}
                )
                answer = self._receive(_WALL_SECONDS)
            except OSError as error:
                self._stop()
                raise MelboError(
                    f"no process could be started to render templates in ({error.strerror or error})",
                    "free some memory, or end other programs",
                ) from error
            except BaseException:  # an answer that is still to come would be taken for the next call's
                self._stop()
                raise
            if "exceeds" in answer:
                self._stop()
                raise Exceeded(_TOO_MUCH[answer["exceeds"]].format(most=most))
        if "raises" in answer:
            raise Raised(line_of(*answer["raises"]))
        return answer["gives"]

    def close(self) -> None:
        """Ends the process, also under a call that is left waiting in another thread."""
        if self._lock.acquire(timeout=_CLOSING_SECONDS):
            try:
                self._stop()
            finally:
                self._lock.release()
        elif (process := self._process) is not None:
            process.kill()  # that thread stops the rest

    # Inside

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Holds the process for one call, once those before have their answers. Raises Cancelled."""
        while not self._lock.acquire(timeout=_LOOK_SECONDS):
            end_if_cancelled()
        try:
            yield
        finally:
            self._lock.release()

    def _send(self, request: Mapping[str, Any]) -> None:
        if self._process is None:
            # A session of its own: Ctrl+C is not for it.
            self._process = subprocess.Popen(
                python(str(Path(__file__).with_name("confined_worker.py"))),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                env=environment(),
            )
            self._fresh, self._owed = True, 0
        assert self._process.stdin is not None
        data = json.dumps(request, default=str).encode()
        self._process.stdin.write(LENGTH.pack(len(data)) + data)
        self._process.stdin.flush()

    def _receive(self, seconds: float) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        stream = self._process.stdout
        end = time.monotonic() + seconds
        while os.name == "posix" and not select.select([stream], [], [], _LOOK_SECONDS)[0]:
            end_if_cancelled()
            if time.monotonic() > end:
                raise Exceeded("does not come to an end")
        head = stream.read(LENGTH.size)
        if len(head) < LENGTH.size:
            raise Exceeded(self._death())
        (size,) = LENGTH.unpack(head)
        if size > _LONGEST_ANSWER:
            raise Exceeded("gives more than can be taken")
        answer: dict[str, Any] = json.loads(stream.read(size))
        return answer

    def _death(self) -> str:
        """What the process died of, which was the call's doing."""
        import signal

        assert self._process is not None
        code = self._process.wait(5)
        if code == -getattr(signal, "SIGPROF", 0):
            return f"does not come to an end within {SECONDS:g} seconds of computing"
        if code == -getattr(signal, "SIGSEGV", 0):
            return "is nested deeper than can be read"
        return _TOO_MUCH["memory"]

    def _stop(self) -> None:
        process, self._process, self._owed = self._process, None, 0
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(OSError):  # what it was still to be told
                        stream.close()
            process.wait()


_TOO_MUCH = {
    "memory": f"takes more than {_MEMORY >> 20} MiB of memory",
    "length": "writes more than {most:,} characters",
}
confined = Confined()
atexit.register(confined.close)
