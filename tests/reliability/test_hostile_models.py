"""Some hundred model folders of hostile senders: each is loaded, or refused in one clean line, within time and memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.reliability import hostile_models
from tests.tiny_models import save_tiny, tiny_model

_SECONDS = 30.0  # of computing, each; and no more than three times as many on the clock
_MEMORY = 6 << 30  # address space, of which torch's libraries take a part


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from peft import LoraConfig, get_peft_model

    folder = save_tiny(tmp_path_factory.mktemp("hostile") / "base")
    config = LoraConfig(r=4, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    get_peft_model(tiny_model("llama"), config).save_pretrained(folder / "adapter")
    return folder


def _ended(folders: list[Path]) -> list[dict[str, Any]]:
    """What became of each. Fails where one takes the process with it, or too long."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.reliability.hostile_models", str(_MEMORY)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdin.write("".join(f"{folder}\n" for folder in folders))
    process.stdin.close()
    ended: list[dict[str, Any]] = []
    name = ""
    errors: list[str] = []
    threading.Thread(target=lambda: errors.append(process.stderr.read()), daemon=True).start()  # type: ignore[union-attr]
    while True:
        timer = threading.Timer(3 * _SECONDS, process.kill)
        timer.start()
        line = process.stdout.readline()
        timer.cancel()
        if not line:
            break
        said = json.loads(line)
        name = said.get("begins", name)
        if "ended" in said:
            ended.append(said)
    process.wait()
    assert len(ended) == len(folders), f"{name} ended the process ({process.returncode}): {''.join(errors)[-2000:]}"
    return ended


def _attack(base: Path, tmp_path: Path, seeds: range) -> None:
    told = {f"m{seed}": hostile_models.make(base, tmp_path / f"m{seed}", seed) for seed in seeds}
    ended = _ended([tmp_path / name for name in told])
    wrong = []
    for one in ended:
        line = one["told"]
        clean = one["clean"] and "\n" not in line and "\x1b" not in line and "Traceback" not in line and len(line) < 1500
        if not clean or one["seconds"] > _SECONDS:
            wrong.append(f"{one['ended']} ({told[one['ended']]}): {one['seconds']:.1f} s, {line!r}")
    loaded = sum(one["told"] == "loaded" for one in ended)
    longest = max(ended, key=lambda one: one["seconds"])
    print(f"\nFIGURE | hostile model folders | {len(ended)}, {loaded} loaded, {len(wrong)} not refused cleanly")
    print(f"FIGURE | longest of them | {longest['seconds']:.1f} s ({told[longest['ended']]})")
    print(f"FIGURE | peak memory of the process | {max(one['peak'] for one in ended)} MiB")
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
def test_hostile_models_are_loaded_or_refused_in_a_line(base: Path, tmp_path: Path) -> None:
    _attack(base, tmp_path, range(12))


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("batch", range(8))
def test_attack_claims(base: Path, tmp_path: Path, batch: int) -> None:
    _attack(base, tmp_path, range(100 + 50 * batch, 150 + 50 * batch))
