from __future__ import annotations

from pathlib import Path

import pytest

from tests.tiny_models import save_tiny


@pytest.fixture(scope="session")
def tiny_chat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose answers are as long as they may be."""
    return save_tiny(tmp_path_factory.mktemp("models") / "tiny", max_position_embeddings=8192)
