"""How long it takes from the start of the program to the first whole screen, and how much of a core it costs.

    python -m tests.reliability.first_frame [--starts 10] [--beside TREE]

`--beside` names another working tree, whose program is started in turns with this one's: both see the same machine. Times
are those of the read that completed the screen; nothing looks at the screen while the program starts.
"""

from __future__ import annotations

import argparse
import atexit
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil
import pyte

from tests.isolation import isolate
from tests.reliability.terminal import Terminal

# What a person needs to see to begin: the panes' tabs, the form with its prompt and its buttons, what stands beside it.
SCREEN = ("F1 Train", "F2 Vectors", "F3 Chat", "New run", "Prompt", "Method", "Radius", "Start", "Stop", "No vectors yet")
COLUMNS, ROWS = 120, 40
_TREE = Path(__file__).parents[2]
# As the installed script does: `python -m` would look the package up a second time.
_SCRIPT = "import sys; from melbo_tui.cli import main; sys.argv[0] = 'melbo-tui'; sys.exit(main())"


@dataclass(frozen=True)
class Start:
    """Seconds from exec to the screen, and seconds of processor time, all threads together, until then."""

    seconds: float
    processor: float


def start(tree: Path = _TREE, model: str = "bundled", seconds: float = 30) -> Start:
    """Starts the program of `tree` on a terminal of its own, on a new library, and ends it when its screen is there.

    What Python compiles of it is kept, as it is for those who use it, whatever the environment says: the first start compiles.
    """
    with tempfile.TemporaryDirectory(prefix="melbo-start-") as folder:
        own = {"PYTHONPATH": str(tree), "MELBO_TUI_LIBRARY": f"{folder}/library", "MELBO_TUI_CONFIG": f"{folder}/config"}
        own |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(_compiled())}
        command = [sys.executable, "-P", "-c", _SCRIPT, "--model", model]
        with Terminal(command, COLUMNS, ROWS, own) as terminal:
            processor = _processor_when_drawn(terminal, seconds)
            whole = _whole_screen(terminal)
            if whole is None:
                raise AssertionError(f"the first screen did not come:\n{terminal.screen()}")
            return Start(whole, processor)


@cache
def _compiled() -> Path:
    folder = tempfile.mkdtemp(prefix="melbo-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _processor_when_drawn(terminal: Terminal, seconds: float) -> float:
    """Processor time when the last words of the screen had come, seen in the bytes; then what belongs to it may follow."""
    process, end = psutil.Process(terminal.process.pid), time.monotonic() + seconds
    last = SCREEN[-1].encode()
    while last not in terminal.written and time.monotonic() < end:
        time.sleep(0.002)
    used = process.cpu_times()
    time.sleep(0.5)
    return float(used.user + used.system)


def _whole_screen(terminal: Terminal) -> float | None:
    """When the read came that completed the screen, in seconds from the start."""
    screen = pyte.Screen(COLUMNS, ROWS)
    stream, at = pyte.ByteStream(screen), 0
    for came, size in list(terminal.reads):
        stream.feed(bytes(terminal.written[at : at + size]))
        at += size
        shown = "\n".join(screen.display)
        if all(words in shown for words in SCREEN):
            return came
    return None


def figures(starts: list[Start]) -> str:
    times, processor = sorted(one.seconds for one in starts), [one.processor for one in starts]
    median = statistics.median(times)
    return f"{median:.3f} s ({times[0]:.3f} to {times[-1]:.3f}), processor time {statistics.median(processor):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=10)
    parser.add_argument("--model", default="bundled")
    parser.add_argument("--beside", type=Path, metavar="TREE")
    args = parser.parse_args()
    isolate()
    trees = [_TREE, *([args.beside.resolve()] if args.beside else [])]
    taken: dict[Path, list[Start]] = {tree: [] for tree in trees}
    for round in range(args.starts + 1):
        for tree in trees:
            one = start(tree, args.model)
            if round:  # the first reads the program's files from the disk
                taken[tree].append(one)
    for tree, name in zip(trees, ("this tree", "the other tree"), strict=False):
        print(f"FIGURE | first frame, median of {args.starts} warm starts, {name} | {figures(taken[tree])}")


if __name__ == "__main__":
    main()
