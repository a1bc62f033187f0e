"""Processes of the program's own beside it."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def python(*what: str) -> list[str]:
    """The command line of this Python. -P: what lies where it is started, or beside its file, is no module of it."""
    return [sys.executable, "-P", *what]


def environment() -> dict[str, str]:
    """This process's, in which its child finds the modules that it has found itself."""
    own = str(Path(__file__).resolve().parents[1])
    return {**os.environ, "PYTHONPATH": os.pathsep.join([own, *(path for path in sys.path if path)])}
