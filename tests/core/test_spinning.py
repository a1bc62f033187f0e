from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.spinning import spin_briefly


@pytest.mark.skipif(sys.platform != "linux", reason="GNU's OpenMP is what torch uses on Linux")
@pytest.mark.parametrize("own", ["", "500"])
def test_torch_is_told_to_spin_briefly_unless_the_user_says_how_long(tmp_path: Path, own: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"} | ({"GOMP_SPINCOUNT": own} if own else {})
    code = f"from melbo_tui.cli import main; main(['vectors', 'list', '--library', {str(tmp_path)!r}]); import torch"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True, env=environment
    )
    assert f"GOMP_SPINCOUNT = '{own or 3000}'" in done.stderr


def test_another_way_to_wait_is_left_as_it_was_chosen() -> None:
    chosen = {"OMP_WAIT_POLICY": "ACTIVE"}
    spin_briefly(chosen)
    assert chosen == {"OMP_WAIT_POLICY": "ACTIVE"}
