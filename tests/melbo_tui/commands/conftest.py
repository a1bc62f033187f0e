from __future__ import annotations

import pytest

from tests.melbo_tui.conftest import CommandLine


@pytest.fixture
def run(on_tiny: CommandLine) -> CommandLine:
    """On the tiny model and the test's own library, where a file says nothing else."""
    return on_tiny
