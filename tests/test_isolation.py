"""The suite leaves the user's folders as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SHOW = """
import tests.conftest
from core.model.store import cache_folder
from huggingface_hub import constants
from melbo_tui.log import log_file
from melbo_tui.settings import library_folder, settings_file
print(cache_folder(), library_folder(None), settings_file(), constants.HF_HUB_CACHE, log_file(), sep="\\n")
"""


def _places(home: Path, **more: str) -> list[Path]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MELBO_TUI", "HF_", "XDG_"))}
    environment = {**kept, "HOME": str(home), **more}
    done = subprocess.run([sys.executable, "-c", _SHOW], env=environment, capture_output=True, text=True, check=True)
    return [Path(line) for line in done.stdout.splitlines()]


def test_nothing_of_the_user_s_is_touched(tmp_path: Path) -> None:
    places = _places(tmp_path)
    assert len(places) == 5
    assert not [place for place in places if place.is_relative_to(tmp_path)]
    assert not list(tmp_path.iterdir())
    assert not places[0].exists(), "the session's folder goes with the session"


def test_processes_of_a_session_share_its_folder(tmp_path: Path) -> None:
    root = tmp_path / "session"
    one, other = (_places(tmp_path / "home", MELBO_TUI_TEST_ROOT=str(root)) for _ in range(2))
    assert one == other
    assert all(place.is_relative_to(root) for place in one)
    assert root.exists()
