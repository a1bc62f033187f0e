"""Downloads from the hub in a process of their own: one that is given up ends at once, also while it waits for the network.

A thread could not be ended so, and would hold the cache's locks, and the program's end, until its last answer comes.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from core.errors import ModelError, first_line
from core.hub.downloads import HubOutOfReach, Progress, Wanted, download
from core.processes.children import environment, python
from core.redaction import redacted

_LOOK_SECONDS = 0.1
_COMPLAINING_SECONDS = 2.0  # that what a process has complained of may take to come, once it has ended


def fetched(wanted: Wanted, progress: Progress) -> Path:
    """`download`, in a process that is ended when `progress` raises. Raises ModelError."""
    stage, fraction = f"fetching {wanted.location} from the hub", None
    progress(stage, fraction)
    try:
        process = subprocess.Popen(
            python("-m", "core.hub.fetching"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            env=environment(),
        )
    except OSError as error:
        raise ModelError(f"no process could be started to fetch {wanted.location} ({error.strerror or error})") from error
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    faults: list[str] = []
    assert process.stdin is not None
    try:
        # It stays open: its end tells the child that this process has ended, however it did.
        with suppress(BrokenPipeError):  # a child that has ended already tells why below
            process.stdin.write(json.dumps(asdict(wanted)) + "\n")
            process.stdin.flush()
        threading.Thread(target=_forward, args=(process.stdout, lines), daemon=True).start()
        complaints = threading.Thread(target=lambda: faults.append(process.stderr.read()), daemon=True)  # type: ignore[union-attr]
        complaints.start()
        while True:
            try:
                line = lines.get(timeout=_LOOK_SECONDS)
            except queue.Empty:
                progress(stage, fraction)
                continue
            if line is None:
                complaints.join(_COMPLAINING_SECONDS)
                last = ("".join(faults).strip().splitlines() or [""])[-1]
                raise ModelError(f"{wanted.location} could not be fetched: its process ended ({redacted(last)[:160]})")
            event = json.loads(line)
            if "folder" in event:
                return Path(event["folder"])
            if "message" in event:
                raise (HubOutOfReach if event["out of reach"] else ModelError)(event["message"], event["remedy"])
            stage, fraction = event["stage"], event["fraction"]
            progress(stage, fraction)
    finally:
        process.kill()
        process.wait()
        with suppress(OSError):  # what it was still to be told
            process.stdin.close()


def _forward(stream: IO[str], lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _end_with_the_parent() -> None:
    """Ends this process at the end of standard input, so that nothing holds the cache's locks for a program that is gone."""
    os.read(0, 1)
    os._exit(1)


def main() -> None:
    """Fetches what standard input's first line asks for; tells on standard output how far it is and what became of it, in lines
    of JSON.
    """
    answers, sys.stdout = sys.stdout, sys.stderr

    def tell(event: dict[str, Any]) -> None:
        answers.write(json.dumps(event) + "\n")
        answers.flush()

    wanted = Wanted(**json.loads(sys.stdin.readline()))
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    try:
        folder = download(wanted, lambda stage, fraction: tell({"stage": stage, "fraction": fraction}))
        tell({"folder": str(folder)})
    except ModelError as error:
        tell({"message": str(error), "remedy": error.remedy, "out of reach": isinstance(error, HubOutOfReach)})
    except Exception as error:
        told = first_line(error)
        tell({"message": f"{wanted.location} could not be fetched ({told})", "remedy": "", "out of reach": False})
    # What the hub library still has threads for is of no use any more.
    os._exit(0)


if __name__ == "__main__":
    main()
