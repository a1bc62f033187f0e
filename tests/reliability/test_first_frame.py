"""The first frame comes soon, and stays so: what it may import and compose is held by number and by name, and it is timed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.first_frame import figures, start
from tests.reliability.terminal import PROGRAM, Terminal

# Each takes a hundredth of a second or more to import, or is the first of a chain that does.
LATER = set(
    "torch transformers numpy plotext safetensors gguf peft accelerate huggingface_hub tokenizers filelock argcomplete tqdm "
    "markdown_it pygments tree_sitter email http logging.handlers vectors.store.library vectors.formats vectors.expression "
    "core.engine.worker core.engine.session core.files.text_files core.model.config melbo_tui.panes.chat.pane "
    "melbo_tui.panes.vectors.pane melbo_tui.panes.reports.report melbo_tui.widgets.dialogs melbo_tui.commands.train".split()
)
MOST_MODULES, MOST_OF_OURS, MOST_WIDGETS = 518, 109, 75
_LOOK = """
import json, sys
from melbo_tui import app, cli

async def complete(self):  # in place of what follows the first frame
    open(sys.argv[1], "w").write(json.dumps([sorted(sys.modules), [str(one) for one in self.screen.walk_children()]]))
    self.exit()

app.MelboApp._complete = complete
sys.exit(cli.main([]))
"""


def test_what_the_first_frame_does_not_show_waits_for_it(tmp_path: Path) -> None:
    headless = {"TEXTUAL_DRIVER": "textual.drivers.headless_driver:HeadlessDriver", "COLUMNS": "120", "LINES": "40"}
    seen = tmp_path / "seen.json"
    command = [sys.executable, "-c", _LOOK, str(seen)]
    subprocess.run(command, env={**os.environ, **headless}, timeout=60, check=True, capture_output=True)
    modules, widgets = json.loads(seen.read_text())
    assert sorted(LATER & set(modules)) == []
    assert len(modules) <= MOST_MODULES
    ours = [name for name in modules if name.split(".")[0] in ("melbo_tui", "core", "vectors")]
    assert len(ours) <= MOST_OF_OURS, ours
    assert len(widgets) <= MOST_WIDGETS, widgets
    assert any("PromptEntry" in widget for widget in widgets)


def test_a_command_s_module_is_imported_when_it_is_named() -> None:
    code = (
        "import sys; from melbo_tui.cli import build_parser; build_parser(['--json', 'models', 'list']); "
        "print(sorted(name for name in sys.modules if name.startswith('melbo_tui.commands.') and name[19:] in "
        "('train', 'atlas', 'chat', 'vectors', 'evaluate', 'models', 'doctor')), 'numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['melbo_tui.commands.models'] False"


def test_a_library_that_cannot_be_used_is_told_when_the_terminal_is_given_back(tmp_path: Path) -> None:
    file = tmp_path / "no-folder"
    file.write_text("a file")
    with Terminal([*PROGRAM, "--library", str(file)]) as terminal:
        terminal.wait_end(30)
        assert terminal.process.returncode == 1
        assert "cannot be used" in terminal.wait_for("melbo-tui: the library", 5).replace("\n", "")
        assert not terminal.modes_left_on()
        assert terminal.echoes()


def test_whoever_leaves_at_once_leaves_well() -> None:
    """While what follows the first frame is still being composed."""
    with Terminal(PROGRAM) as terminal:
        terminal.wait_for("New run")
        terminal.send("\x11")
        terminal.wait_end(30)
        assert terminal.process.returncode == 0
        assert "Traceback" not in terminal.written.decode(errors="replace")
        assert not terminal.modes_left_on()


@pytest.mark.slow
def test_the_first_frame_costs_little() -> None:
    """Six tenths of a second is promised of a machine at rest (python -m tests.reliability.first_frame); this one may be busy,
    so it is held to the processor time, and that generously."""
    start()
    starts = [start() for _ in range(5)]
    print(f"FIGURE | first frame, median of 5 warm starts | {figures(starts)}")
    assert statistics.median(one.processor for one in starts) < 1.0
