from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from melbo_tui.cli import main
from tests.melbo_tui.scripted import STAMP
from tests.vectors.making import vector
from vectors.completion import Completion
from vectors.store.library import Library, Sample

CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command_line(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Runs `melbo-tui` with these words; gives its exit code, what it printed and what it complained of."""

    def run(*words: str) -> tuple[int, str, str]:
        try:
            code = main(words)
        except SystemExit as stop:
            code = int(stop.code or 0)
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture
def on_tiny(command_line: CommandLine, tmp_path: Path, tiny_folder: Path) -> CommandLine:
    """The same on the tiny model and the test's own library."""
    return lambda *words: command_line(*words, "--model", str(tiny_folder), "--library", str(tmp_path / "library"))


@pytest.fixture
def stocked(library: Library) -> Library:
    saved = library.add([vector(i, f"bomb-{i + 1:02d}", 7, stamp=STAMP) for i in range(3)])
    library.add([vector(9, "not-kept", 7, stamp=STAMP)], kept=False)
    library.add_sample(saved[0].id, Sample("p", 1.0, Completion("A sample [b]text[/b]")))
    library.history.clear()
    return library
