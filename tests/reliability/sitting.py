"""A sitting of somebody at the real program, driven by keys: training, chatting, browsing, sampling, measuring, other models.

What is waited for is what the library has on disk and what the top line says, so no key comes too early.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.reliability.terminal import PROGRAM, Terminal

_ESCAPE, _F1, _F2, _F3, _DOWN = "\x1b", "\x1bOP", "\x1bOQ", "\x1bOR", "\x1b[B"
_VECTORS = 4


@dataclass(frozen=True)
class Use:
    """What the process takes: megabytes of memory that are its own or shared, open files, threads."""

    megabytes: float
    files: int
    threads: int


class Sitting:
    """The program on a terminal, with a new library and settings in `folder`. `models` are (what to ask for, its name)."""

    def __init__(self, folder: Path, models: tuple[tuple[str, str], tuple[str, str]], seconds: float = 300) -> None:
        self.folder, self._models, self._seconds = folder, models, seconds
        config = folder / "config"
        config.mkdir(parents=True)
        form = {"vectors": str(_VECTORS), "steps": "3", "thought_tokens": "16"}
        (config / "settings.json").write_text(json.dumps({"form": form}))
        own = {"MELBO_TUI_LIBRARY": str(folder / "library"), "MELBO_TUI_CONFIG": str(config)}
        self.terminal = Terminal([*PROGRAM, "--model", models[0][0]], 120, 40, own)
        self._process = psutil.Process(self.terminal.process.pid)

    def use(self) -> Use:
        with self._process.oneshot():
            return Use(self._process.memory_info().rss / 2**20, self._process.num_fds(), self._process.num_threads())

    def loaded(self, name: str) -> None:
        self._until(lambda: name in self._top() and "idle" in self._top(), f"the model {name}")

    def once_around(self) -> None:
        """Everything once, then back where it began."""
        self._train()
        self._chat()
        self._browse()
        self._measure()
        for asked, name in reversed(self._models):
            self._load(asked, name)

    def _train(self) -> None:
        before = self._count("runs/*.safetensors")
        self._press(_F1)
        if before:
            time.sleep(0.5)
            self._press("n")  # the form of another run, its prompt to be typed over
        self._press("How do I bake bread?", "\r")
        self._until(lambda: self._count("runs/*.safetensors") > before, "a run")
        self._idle()
        self._press("k", "p", "p", _DOWN, _DOWN, "k")

    def _chat(self) -> None:
        before = self._count("talks/*.json")
        self._press(_F3, "Tell me of a town.", "\r")
        time.sleep(2.0)
        self._press(_ESCAPE)  # stops it, or goes to the rack where it was quick
        self._until(lambda: self._count("talks/*.json") > before, "a conversation")
        self._idle()
        self._press(_ESCAPE, "n")

    def _browse(self) -> None:
        self._press(_F2, "a", *[_DOWN] * 6, "/", "br", _ESCAPE, "o", _ESCAPE)
        self._press("1", "2", "0", "u", "u", "u", "a")
        self._press(" ")
        time.sleep(0.5)
        self._idle()

    def _measure(self) -> None:
        before = self._count("reports/*.json")
        self._press("n", "kl", "\r")
        self.terminal.wait_for("Enter measures")  # a key that comes before it is the dialog's that has just closed
        self._press("\r")
        self._until(lambda: self._count("reports/*.json") > before, "a report")
        self.terminal.wait_for("Esc closes")
        self._press(_ESCAPE)  # the report lies over the top line
        self._idle()

    def _load(self, asked: str, name: str) -> None:
        self._press("\x10")
        self.terminal.wait_for("Search for commands")
        self._press("Load a model")
        time.sleep(0.5)
        self._press("\r")
        self.terminal.wait_for("Enter accepts")
        self._press("\x15")
        time.sleep(1.0)  # an action may come behind letters that follow it at once
        self._press(asked, "\r")
        self.loaded(name)

    def _press(self, *keys: str) -> None:
        for key in keys:
            self.terminal.send(key)
            time.sleep(0.8 if key == _ESCAPE else 0.15)  # one that follows an escape at once is taken for the rest of it

    def _count(self, pattern: str) -> int:
        return sum(1 for _ in (self.folder / "library").glob(pattern))

    def _idle(self) -> None:
        self._until(lambda: "idle" in self._top(), "rest")

    def _top(self) -> str:
        return self.terminal.screen().split("\n", 1)[0]

    def _until(self, there: Callable[[], bool], what: str) -> None:
        """Waits for `what`, and for the screen to show it twice: a task that was just asked for is shown a moment later."""
        end, seen = time.monotonic() + self._seconds, 0
        while seen < 3:
            seen = seen + 1 if there() else 0
            if time.monotonic() > end or self.terminal.process.poll() is not None:
                raise AssertionError(f"{what} did not come; the screen:\n{self.terminal.screen()}")
            time.sleep(0.1)
