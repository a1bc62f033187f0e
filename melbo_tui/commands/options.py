"""Options of methods and metrics as arguments of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.specs import Option


def add_option(group: Any, name: str, option: Option, choices: Sequence[str] | None = None) -> None:
    """Adds `option`, its value called `name` and None where it is not given. `choices`: those of its words that do here."""
    more: dict[str, Any] = {"dest": name, "help": option.help}
    if option.kind is bool:
        group.add_argument(option.flag, action="store_true", default=None, **more)
        return
    if isinstance(option.kind, tuple):
        more["choices"] = choices or option.kind
    else:
        more |= {"type": option.kind, "metavar": option.metavar}
    group.add_argument(option.flag, action="append" if option.repeatable else "store", default=None, **more)


def add_force(group: Any) -> None:
    """`--force`, beside an `--out`."""
    group.add_argument("--force", action="store_true", help="replace the file that --out names, where there is one")
