"""Where the program starts: before anything of it is imported, whether it would be its own."""

from __future__ import annotations

import sys

from melbo_tui.namesakes import namesakes


def main() -> int:
    """Runs the command line (melbo_tui/cli.py) and gives its exit code; 1 where another package hides one of ours."""
    if strangers := namesakes():
        sys.stderr.write("".join(f"melbo-tui: {line}\n" for line in strangers))
        return 1
    from melbo_tui import cli

    return cli.main()
