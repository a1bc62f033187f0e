"""Trains vectors under a limit of memory, which standard input does not tell: run as a program, in a process of its own.

Arguments: the model's folder, and the bytes of address space above what the loaded model takes.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from typing import Any


def main() -> None:
    folder, spare = sys.argv[1], int(sys.argv[2])
    from core.engine.events import VectorFound, Warned
    from core.engine.requests import LoadModel, Train
    from core.engine.session import Session, failure
    from core.model.source import ModelSpec
    from core.prompt import Prompt

    session = Session()
    events: list[Any] = []
    for _ in session.start(0, LoadModel(ModelSpec(folder, device="cpu")), events.append):
        pass
    ids = tuple(3 + i % 250 for i in range(96))
    with open("/proc/self/statm", encoding="ascii") as file:
        taken = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + spare, resource.RLIM_INFINITY))
    request = Train((Prompt(ids=ids),), vectors=32, steps=2, batch=32, tokens="all", radius=4.0, sample_tokens=4, controls=1)
    end = None
    try:
        for _ in session.start(1, request, events.append):
            pass
    except Exception as error:
        end = failure(1, error)
        if not end.message.startswith("out of memory"):
            traceback.print_exc()
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    told = {
        "vectors": sum(isinstance(event, VectorFound) for event in events),
        "warnings": [event.message for event in events if isinstance(event, Warned)],
        "line": "" if end is None else f"{end.message} ({end.remedy})",
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
