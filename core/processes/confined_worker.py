"""The other end of confined.py: a process that calls one function after another, each within limits of time and memory.

It imports no more than what it is asked to call, and writes no file. Its limits are the system's own, so that nothing that a
function does can outlast them: no loop within one call of a library in C, and no process that has lost its parent.
"""

from __future__ import annotations

import importlib
import json
import re
import signal
import struct
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, BinaryIO

LENGTH = struct.Struct(">Q")


def matches(patterns: Sequence[str], texts: Sequence[str]) -> bool:
    """Tries every pattern on every text; says no more than that this came to an end. Raises re.error for what is no pattern."""
    for pattern in patterns:
        for text in texts:
            re.fullmatch(pattern, text)
    return True


def _confine(memory: int) -> None:
    """At most `memory` bytes more than now, and no file written."""
    try:
        import resource
    except ImportError:  # Windows: the parent's clock is the only limit
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    try:
        with open("/proc/self/statm", "rb") as file:
            memory += int(file.read().split()[0]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):
        memory += 1 << 30
    with suppress(ValueError, OSError):  # a system that knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory if hard < 0 else min(memory, hard), hard))


def _timer(seconds: float) -> None:
    """Ends the process once it has computed for so long; 0: no more."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    module, _, name = request["call"].partition(":")
    function = globals()[name] if module == "" else getattr(importlib.import_module(module), name)
    if request.get("warm"):
        return {"gives": None}
    if request["memory"]:
        _confine(request["memory"])
    _timer(request["seconds"])
    try:
        gives = json.dumps(function(**request["given"]))
    except MemoryError:
        return {"exceeds": "memory"}
    except BaseException as error:
        return {"raises": [type(error).__name__, str(error)[:2000]]}
    finally:
        _timer(0)
    return {"exceeds": "length"} if len(gives) > request["most"] else {"gives": json.loads(gives)}


def _read(stream: BinaryIO) -> dict[str, Any] | None:
    head = stream.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    request: dict[str, Any] = json.loads(stream.read(*LENGTH.unpack(head)))
    return request


def main() -> None:
    """Answers requests until there are no more; what a function prints goes nowhere."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    sys.stdout = sys.stderr
    while (request := _read(requests)) is not None:
        try:
            answer = _answer(request)
            data = json.dumps(answer).encode()
        except MemoryError:
            answer = {"exceeds": "memory"}
            data = json.dumps(answer).encode()
        answers.write(LENGTH.pack(len(data)) + data)
        answers.flush()
        if answer.get("exceeds") == "memory":
            return


if __name__ == "__main__":
    main()
