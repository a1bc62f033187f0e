"""The programs and rights that a test against the real thing needs."""

from __future__ import annotations

import os
import shutil

import pytest

REQUIRED = "MELBO_TUI_REQUIRE_TOOLS"  # set where everything is to be there: in CI


def need(*programs: str) -> None:
    """Skips the test that calls, by the name of the program that is missing; fails it where MELBO_TUI_REQUIRE_TOOLS is set."""
    for program in programs:
        if shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is None:
            missing(f"{program} is not installed")


def missing(what: str) -> None:
    """The test that calls cannot run here, for `what` is missing: it is skipped, or fails where it must not be."""
    if os.environ.get(REQUIRED):
        pytest.fail(f"{what}, and {REQUIRED} is set")
    pytest.skip(what)
