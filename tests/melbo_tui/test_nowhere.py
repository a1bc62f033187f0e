"""Descriptors are sent nowhere without leaving another one open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from melbo_tui.nowhere import send_nowhere


@pytest.mark.parametrize("closed", [False, True])
def test_a_descriptor_leads_nowhere_and_no_other_is_left_open(tmp_path: Path, closed: bool) -> None:
    file = tmp_path / "file"
    ours = os.open(file, os.O_CREAT | os.O_RDWR)
    free = os.dup(ours)
    os.close(free)
    if closed:
        os.close(ours)
    send_nowhere(ours)
    os.write(ours, b"lost")
    assert file.read_bytes() == b""
    os.close(ours)
    probe = os.open(file, os.O_RDONLY)
    assert probe <= free
    os.close(probe)
