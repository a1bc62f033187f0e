"""What commands print: one line a fact, safe for any terminal, or JSON for machines."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from melbo_tui.commands.streams import can_write, complain, write
from vectors.plain_text import one_line, printable

if TYPE_CHECKING:
    from core.events import Event, Progressed

_LOGGED_EVERY = 30.0  # seconds


def fail(message: str, remedy: str = "") -> None:
    """One clear line on standard error."""
    complain(f"melbo-tui: {one_line(message)}" + (f" ({one_line(remedy)})\n" if remedy else "\n"))


def note(message: str) -> None:
    """What is worth knowing and ends nothing, on standard error."""
    fail(f"note: {message}")


def say(text: str = "") -> None:
    write(printable(text) + "\n")


def say_json(data: Any) -> None:
    """`data` as a line of JSON; escaped where a terminal or the output's encoding would not bear it as it stands."""
    line = json.dumps(data, ensure_ascii=False, default=str)
    if not can_write(line) or printable(line) != line:
        line = json.dumps(data, default=str)
    write(line + "\n")


def say_done(args: argparse.Namespace, text: str, names: Sequence[str]) -> int:
    """What a command has done, to which vectors; gives the exit code."""
    if args.json:
        say_json({"done": text, "names": list(names)})
    else:
        say(text)
    return 0


def event_json(event: Event) -> dict[str, Any]:
    from core.events import Reported

    if isinstance(event, Reported):
        return {"event": "Reported", "id": event.id, **event.report.to_json()}
    return {"event": type(event).__name__, **dataclasses.asdict(event)}


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side; the last one takes the rest of the line and is cut there (not when piped)."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(headers), *cells]) for i in range(len(headers) - 1)]
    room = shutil.get_terminal_size((120, 24)).columns - sum(widths) - 2 * len(widths)
    for line in [list(headers), *cells]:
        start = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        last = line[-1] if not sys.stdout.isatty() else one_line(line[-1], max(room, 20))
        say(f"{start}  {last}".rstrip())


class ProgressLine:
    """One line on standard error that is written over; where that is no terminal but a log, a line every half minute."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._shown = ""
        self._told = time.monotonic()

    def show(self, event: Progressed) -> None:
        facts = _progress(event)
        if not self._on:
            if time.monotonic() - self._told >= _LOGGED_EVERY:
                self._told = time.monotonic()
                fail(", ".join(facts))
            return
        text = one_line("  ".join(facts), shutil.get_terminal_size().columns - 1)
        complain("\r" + text + " " * max(len(self._shown) - len(text), 0))
        self._shown = text

    def clear(self) -> None:
        if self._shown:
            complain("\r" + " " * len(self._shown) + "\r")
            self._shown = ""


def _progress(event: Progressed) -> list[str]:
    from melbo_tui.wording import duration

    facts = [event.stage]
    if event.total:
        facts.append(f"{round(event.done, 1):g} of {event.total:g}" if event.total > 1 else f"{event.done / event.total:.0%}")
    if event.rate:
        facts.append(f"{event.rate:.2g}/s")
    if event.eta is not None:
        facts.append(f"{duration(event.eta)} left")
    return facts
