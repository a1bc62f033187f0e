"""The check for machines with a GPU runs to its end where there is none, on a model of a few numbers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.benchmarks import gpu_check


@pytest.mark.slow
def test_every_row_is_measured(tmp_path: Path) -> None:
    from tests.tiny_models import save_tiny

    tiny = save_tiny(tmp_path / "tiny")
    words = ["--device", "cpu", "--shape", "tiny", "--tokens", "4", "--published-steps", "5", "--weights", str(tiny)]
    command = [sys.executable, "-m", "tests.benchmarks.gpu_check", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED" not in done.stdout
    for word in ("training step, 128", "a family", "with its reference, 32 rows", "default model", "bfloat16", "gpu_cases"):
        assert word in done.stdout


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu_check.main([]) == 1
    assert "no GPU" in capsys.readouterr().err


def test_a_row_that_fails_or_takes_too_long_is_told_and_the_others_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    import time

    check = gpu_check.Check.__new__(gpu_check.Check)
    check.failed = []
    check.row("slow", "", "", lambda: time.sleep(5) or "done", seconds=1)
    check.row("wrong", "", "", lambda: str(1 / 0))
    check.row("right", "1 x", "2 x", lambda: "3 x")
    out = capsys.readouterr().out
    assert check.failed == ["slow", "wrong"]
    assert "not done after 1 s" in out
    assert "ZeroDivisionError" in out
    assert "3 x" in out.splitlines()[-1]
