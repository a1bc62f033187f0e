from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.disks import small_disk
from tests.tiny_models import save_tiny


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose answers are as long as they may be."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=8192)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    with small_disk(tmp_path / "disk", 1024) as folder:
        yield folder
