"""Where another package bears the name of one of ours, a line says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import melbo_tui
from melbo_tui.namesakes import namesakes

TREE = Path(melbo_tui.__file__).parents[1]


@pytest.fixture
def decoy(tmp_path: Path) -> Path:
    """A folder with a package `core` in it."""
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("")
    return tmp_path


def _run(decoy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": f"{decoy}{os.pathsep}{TREE}"}
    return subprocess.run(
        [sys.executable, *command], env=environment, cwd=decoy, capture_output=True, text=True, timeout=60, check=False
    )


def test_ours_are_no_strangers() -> None:
    assert namesakes() == []
    assert namesakes([str(TREE)]) == []


def test_a_folder_without_a_package_in_it_hides_nothing_that_is_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "core").mkdir()
    assert namesakes([str(tmp_path), str(TREE)]) == []
    assert len(namesakes([str(tmp_path)])) == 1  # ours is found by other means: from the source tree's finder


def test_a_file_of_that_name_hides_it_too(tmp_path: Path) -> None:
    (tmp_path / "vectors.py").write_text("")
    (line,) = namesakes([str(tmp_path), str(TREE)])
    assert "vectors.py bears the name of melbo-tui's own package `vectors`" in line


@pytest.mark.parametrize("words", [["--version"], ["doctor"]])
def test_the_program_says_so_in_a_line(decoy: Path, words: list[str]) -> None:
    done = _run(decoy, "-m", "melbo_tui", *words)
    assert done.returncode == 1
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"melbo-tui: {decoy / 'core'} bears the name of melbo-tui's own package `core`")
    assert "PYTHONPATH" in line


def test_a_notebook_is_told_at_the_first_name(decoy: Path) -> None:
    done = _run(decoy, "-c", "import melbo_tui; print(melbo_tui.__version__); from melbo_tui import train")
    assert done.stdout.strip() == melbo_tui.__version__
    assert done.stderr.splitlines()[-1].startswith(f"ImportError: {decoy / 'core'} bears the name of")


def test_a_package_that_was_imported_before_counts(decoy: Path) -> None:
    code = f"import sys, core; sys.path.remove({str(decoy)!r}); sys.path.remove(''); import melbo_tui; melbo_tui.generate"
    assert "ImportError: " in _run(decoy, "-c", code).stderr


def test_doctor_tells_of_the_folder_it_is_started_in(decoy: Path) -> None:
    code = f"import sys; sys.path[:] = [{str(TREE)!r}, *(p for p in sys.path if p not in ('', {str(decoy)!r}))]; "
    done = _run(decoy, "-c", code + "from melbo_tui.start import main; sys.argv = ['melbo-tui', 'doctor']; sys.exit(main())")
    assert f"- for Python started in this folder: {decoy / 'core'} bears the name of" in done.stdout
    assert done.returncode == 1
