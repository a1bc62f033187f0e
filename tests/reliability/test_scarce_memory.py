"""Training under real limits of memory: smaller batches, or a clear line; never a crash, a hang or an abort."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.reliability.tools import missing
from tests.tiny_models import save_tiny

_MIB = 1 << 20


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of six blocks whose activations are wide: a batch of 32 takes hundreds of megabytes."""
    folder = tmp_path_factory.mktemp("scarce") / "wide"
    return save_tiny(
        folder, hidden_size=256, intermediate_size=8192, head_dim=64, num_attention_heads=4, initializer_range=0.02
    )


def _trained(folder: Path, spare: int) -> dict[str, object]:
    if not sys.platform.startswith("linux"):
        missing("a limit of address space that holds")
    done = subprocess.run(
        [sys.executable, "-m", "tests.reliability.scarce_memory", str(folder), str(spare)],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, f"it died of {done.returncode}: {done.stderr[-3000:]}"
    assert "Traceback" not in done.stderr, done.stderr[-3000:]
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    print(f"\nFIGURE | training with {spare / _MIB:.0f} MiB beside the model | {told}")
    return told


@pytest.mark.slow
@pytest.mark.parametrize("spare", [1500, 250, 120])
def test_training_goes_on_with_fewer_vectors_at_once(wide: Path, spare: int) -> None:
    told = _trained(wide, spare * _MIB)
    assert told["vectors"] == 32 or "out of memory" in str(told["line"]), told
    if spare >= 1500:
        assert told["vectors"] == 32
        assert not any("batch halved" in str(one) for one in told["warnings"])  # type: ignore[attr-defined]
    elif told["vectors"] == 32:
        assert any("batch halved" in str(one) for one in told["warnings"])  # type: ignore[attr-defined]


@pytest.mark.soak
@pytest.mark.parametrize("spare", range(20, 700, 40))
def test_training_under_many_limits(wide: Path, spare: int) -> None:
    told = _trained(wide, spare * _MIB)
    assert told["vectors"] == 32 or "out of memory" in str(told["line"]), told
