"""Thousands of libraries with any JSON or any bytes at any place of any kept file: tests/vectors/test_poisoned.py, longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.vectors import test_poisoned as small
from tests.vectors.test_poisoned import before, filled  # noqa: F401  fixtures

EXAMPLES = int(os.environ.get("MELBO_TUI_ATTACKS", "1500"))


def _longer(test: Callable[..., Any]) -> Callable[..., Any]:
    return settings(small.QUICKLY, max_examples=EXAMPLES)(test)


@pytest.mark.soak
@pytest.mark.parametrize("name", ["test_any_json_at_any_place", "test_any_bytes", "test_any_bytes_of_the_index"])
def test_attack_files(filled: Path, before: dict[str, str], name: str) -> None:  # noqa: F811
    began = time.monotonic()
    _longer(getattr(small, name))(filled=filled, before=before)
    print(f"FIGURE | {name}, libraries opened, checked and rebuilt without a fault | {EXAMPLES}")
    print(f"FIGURE | {name}, seconds a library | {(time.monotonic() - began) / EXAMPLES:.2f}")
