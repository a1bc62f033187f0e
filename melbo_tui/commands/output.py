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

from rich.cells import cell_len

from melbo_tui.commands.streams import can_write, complain, write
from melbo_tui.formatting import cut, duration
from melbo_tui.terminal import places_text
from vectors.plain_text import harmful, one_line, printable

if TYPE_CHECKING:
    from core.engine.events import Event, Progressed
    from vectors.completion import Completion, Judgement

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
    """`data` as a line of JSON; escaped is what a terminal or the output's encoding would not bear as it stands."""
    line = json.dumps(data, ensure_ascii=False, default=str)
    if printable(line) != line:
        line = "".join(_escaped(character) if harms else character for character, harms in harmful(line))
    if not can_write(line):
        line = "".join(character if character.isascii() else _escaped(character) for character in line)
    write(line + "\n")


def _escaped(character: str) -> str:
    """As JSON writes any character in ASCII; json.dumps leaves DEL as it is."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def say_done(args: argparse.Namespace, text: str, names: Sequence[str]) -> int:
    """What a command has done, to which vectors; gives the exit code."""
    if args.json:
        say_json({"done": text, "names": list(names)})
    else:
        say(text)
    return 0


def event_json(event: Event) -> dict[str, Any]:
    from core.engine.events import Generated, Reported

    name = {"event": type(event).__name__}
    if isinstance(event, Reported):
        return {**name, "id": event.id, **event.report.to_json()}
    if isinstance(event, Generated):
        rate = {"tokens_per_second": event.tokens_per_second}
        return {**name, "task": event.task, "key": event.key, **completion_json(event.completion, event.judgement), **rate}
    return {**name, **dataclasses.asdict(event)}


def completion_json(completion: Completion, judgement: Judgement) -> dict[str, Any]:
    """A completion and its judgement as one flat object, without the token ids."""
    told = {**dataclasses.asdict(completion), "finished": completion.finished, "thinking": completion.thinking}
    del told["ids"]
    return {**told, **dataclasses.asdict(judgement)}


def table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side; the last one takes the rest of the line and is cut there (not when piped)."""
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(cell_len(line[i]) for line in [list(headers), *cells]) for i in range(len(headers) - 1)]
    room = shutil.get_terminal_size((120, 24)).columns - sum(widths) - 2 * len(widths)
    for line in [list(headers), *cells]:
        start = "  ".join(cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=False))
        last = line[-1] if not sys.stdout.isatty() else cut(line[-1], max(room, 20))
        say(f"{start}  {last}".rstrip())


def fitted(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """`rows` with the last column cut so that a `table` of them is at most `width` wide, where the others leave it 20."""
    others = [max(cell_len(line[i]) for line in [headers, *rows]) + 2 for i in range(len(headers) - 1)]
    return [[*row[:-1], cut(row[-1], max(width - sum(others), 20))] for row in rows]


class ProgressLine:
    """One line on standard error that is written over; where that cannot be, as in a log, a line every half minute."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty() and places_text()
        self._shown = ""
        self._told = time.monotonic()

    def show(self, event: Progressed) -> None:
        facts = _progress(event)
        if not self._on:
            if time.monotonic() - self._told >= _LOGGED_EVERY:
                self._told = time.monotonic()
                fail(", ".join(facts))
            return
        text = cut(one_line("  ".join(facts)), shutil.get_terminal_size().columns - 1)
        complain("\r" + text + " " * max(cell_len(self._shown) - cell_len(text), 0))
        self._shown = text

    def clear(self) -> None:
        if self._shown:
            complain("\r" + " " * cell_len(self._shown) + "\r")
            self._shown = ""


def _progress(event: Progressed) -> list[str]:
    facts = [event.stage]
    if event.total:
        facts.append(f"{round(event.done, 1):g} of {event.total:g}" if event.total > 1 else f"{event.done / event.total:.0%}")
    if event.rate:
        facts.append(f"{event.rate:.2g}/s")
    if event.eta is not None:
        facts.append(f"{duration(event.eta)} left")
    return facts
