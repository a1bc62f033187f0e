"""A bash with job control on a pseudo-terminal, for what only a shell does: Ctrl+Z, fg, bg."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from tests.reliability.terminal import Terminal
from tests.reliability.tools import need

PROMPT = "ready>"


def bash(environment: Mapping[str, str]) -> Terminal:
    """An interactive bash at its first prompt, `PROMPT`."""
    need("bash")
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], environment={**environment, "PS1": PROMPT + " "})
    terminal.wait_for(PROMPT)
    return terminal


def typed(words: Sequence[str]) -> str:
    """A command line as it is typed."""
    return shlex.join(words) + "\r"
