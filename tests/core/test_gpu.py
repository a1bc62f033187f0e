"""No part of a search, of chat or of the atlas forgets on which device the model is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.slow
def test_all_runs_on_a_gpu_that_is_simulated() -> None:
    # In a process of its own: torch takes one new device a process, and keeps it.
    cases = Path(__file__).with_name("gpu_cases.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cases.parents[2], check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout
