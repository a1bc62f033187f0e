from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.engine.openmp import spin_briefly

# What the OpenMP library is told when torch brings it in: the environment of C, which os.environ must have reached by then.
TOLD = """
import ctypes, sys
from melbo_tui.cli import main
main(["vectors", "list", "--library", sys.argv[1]])
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
assert "torch" not in sys.modules
print(getenv(b"GOMP_SPINCOUNT").decode())
import torch
"""


@pytest.mark.parametrize("own", ["", pytest.param("500", marks=pytest.mark.slow)])
def test_torch_is_told_to_spin_briefly_unless_the_user_says_how_long(tmp_path: Path, own: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE"} | ({"GOMP_SPINCOUNT": own} if own else {})
    command = [sys.executable, "-c", TOLD, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    assert done.stdout.split()[-1] == (own or "3000")
    if sys.platform == "linux":  # elsewhere torch brings LLVM's library, which knows no such setting
        assert f"GOMP_SPINCOUNT = '{own or 3000}'" in done.stderr


def test_another_way_to_wait_is_left_as_it_was_chosen() -> None:
    chosen = {"OMP_WAIT_POLICY": "ACTIVE"}
    spin_briefly(chosen)
    assert chosen == {"OMP_WAIT_POLICY": "ACTIVE"}
