"""What an error came from, and what it says of a disk, whoever met it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from core.errors import ModelError, causes
from core.hub.downloads import readable_failures


def test_all_that_an_error_came_from_is_told_once_and_comes_to_an_end() -> None:
    raised_from, handled, error = KeyError("from"), OSError("handled"), ValueError("told")
    error.__cause__, error.__context__ = raised_from, handled
    handled.__context__ = error
    assert causes(error) == [error, raised_from, handled]
    assert causes(None) == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_the_hub_s_cache_without_space_is_told_as_any_disk_is(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    words = {errno.ENOSPC: "is full", errno.EDQUOT: "your quota", errno.EFBIG: "may grow no further"}[code]
    told = rf"owner/tiny could not be fetched: .*{words}"
    with pytest.raises(ModelError, match=told) as caught, readable_failures("owner/tiny", None):
        raise RuntimeError("a download failed") from OSError(code, os.strerror(code))
    assert "HF_HOME" in caught.value.remedy
