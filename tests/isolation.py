"""Tests, benchmarks and what they start keep off the user's own cache, library, settings and hub folder.

All of it lies under one folder of the session's. Its processes share the cache, so that the default model is converted once for
all; each worker has a library of its own.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

ROOT = "MELBO_TUI_TEST_ROOT"


def isolate() -> Path:
    """Points this process, and all that it starts, at the session's folder: the one it was given, else a new one, which goes
    with this process.
    """
    given = os.environ.get(ROOT)
    root = Path(given or tempfile.mkdtemp(prefix="melbo-tui-tests-"))
    os.environ[ROOT] = str(root)
    if not given:
        owner = os.getpid()  # a fork must not take it away
        atexit.register(lambda: os.getpid() == owner and shutil.rmtree(root, ignore_errors=True))
    folders = {
        "HOME": "home",
        "XDG_CACHE_HOME": "home/cache",
        "XDG_CONFIG_HOME": "home/config",
        "XDG_DATA_HOME": "home/data",
        "XDG_STATE_HOME": "home/state",
        "HF_HOME": "hub",
        "MELBO_TUI_CACHE": "cache",
        "MELBO_TUI_LIBRARY": f"library-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}",
        "MELBO_TUI_CONFIG": "config",
        "MELBO_TUI_LOG": "log",
    }
    for name, folder in folders.items():
        (root / folder).mkdir(parents=True, exist_ok=True)
        os.environ[name] = str(root / folder)
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):  # they would win over HF_HOME
        os.environ.pop(name, None)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    return root
