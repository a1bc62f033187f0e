"""A real disk that fills up in the middle of a download: told as that, nothing half is taken for whole, and it is resumed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import ModelError
from core.hub.downloads import Wanted
from core.hub.fetching import fetched
from tests.loopback_hub import Hub, served, settings
from tests.reliability.disks import small_disk


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MiB."""
    with small_disk(tmp_path / "disk", 16 << 10) as folder:
        yield folder


def test_a_disk_that_is_full_in_mid_download(disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(os.urandom(24 << 20))
    hub = Hub(folder)
    with served(hub) as address:
        for name, value in settings(address, disk).items():
            monkeypatch.setenv(name, value)
        wanted = Wanted("owner/tiny", None, (["*.json", "*.safetensors"],))
        with pytest.raises(ModelError, match=r"owner/tiny could not be fetched: the disk that holds .* is full") as caught:
            fetched(wanted, lambda stage, fraction: None)
        assert "HF_HOME" in caught.value.remedy
        assert not list(disk.rglob("model.safetensors")), "nothing half is taken for whole"
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        whole = fetched(wanted, lambda stage, fraction: None)
        assert (whole / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
        ranges = [one[2] for one in hub.asked if one[0] == "GET" and one[1].endswith("model.safetensors")]
        assert ranges[-1].startswith("bytes="), "what had come was kept"
