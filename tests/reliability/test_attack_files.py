"""Thousands of libraries with any JSON or bytes at any place of any kept file: tests/vectors/store/test_poisoned.py, longer."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors.store import test_poisoned as small
from tests.vectors.store.test_poisoned import before, filled  # noqa: F401  fixtures

EXAMPLES = int(os.environ.get("MELBO_TUI_ATTACKS", "1500"))


@pytest.mark.soak
@pytest.mark.parametrize("attack", small.ATTACKS)
def test_attack_files(filled: Path, before: dict[str, str], attack: Callable[..., None]) -> None:  # noqa: F811
    began = time.monotonic()
    settings(small.QUICKLY, max_examples=EXAMPLES)(given(data=st.data(), lost=st.booleans())(attack))(filled, before)
    print(f"FIGURE | {attack.__name__}: libraries opened, checked and rebuilt, all others as they were | {EXAMPLES}")
    print(f"FIGURE | {attack.__name__}: seconds a library | {(time.monotonic() - began) / EXAMPLES:.2f}")
