from __future__ import annotations

import gc
import os
from pathlib import Path

import pytest
from hypothesis import settings

from tests.isolation import isolate

isolate()  # before anything reads where the user's folders are

# An example is slow where the machine is busy, which is no fault of what is tested.
settings.register_profile("melbo-tui", deadline=None)
settings.load_profile("melbo-tui")

# An app's widgets lie in circles and are many: with Python's own thresholds a test of one is searched hundreds of times.
gc.set_threshold(100_000, 5, 10)

# Workers that share the cores would each spin a thread a core, and wait for each other's.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever -m asks for, a test of a real model needs one."""
    if not os.environ.get("MELBO_TUI_REAL_MODEL"):
        for item in items:
            if "real" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="MELBO_TUI_REAL_MODEL names no model's folder"))


def pytest_collection_finish() -> None:
    """What was imported and collected stays until the end: it is no use looking for garbage in it."""
    gc.collect()
    gc.freeze()


GOLDEN = Path(__file__).parent / "golden" / "tiny-qwen2"


@pytest.fixture(autouse=True)
def settings_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test's own: what one filled in, the next does not find."""
    monkeypatch.setenv("MELBO_TUI_CONFIG", str(tmp_path / "config"))


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from tests.tiny_models import save_tiny

    return save_tiny(tmp_path_factory.mktemp("models") / "tiny-llama")


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path):  # type: ignore[no-untyped-def]
    from core.model.language_model import LanguageModel

    return LanguageModel.load(tiny_folder, "tiny-llama", device="cpu")


@pytest.fixture
def library(tmp_path: Path):  # type: ignore[no-untyped-def]
    from vectors.store.library import Library

    return Library(tmp_path / "library")
