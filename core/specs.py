"""One thing that a method or a metric can be told. The command line and the forms are made from these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Option:
    """`kind` is a type, or the words to choose from; bool is a switch."""

    flag: str
    kind: type | tuple[str, ...]
    help: str
    metavar: str | None = None
    repeatable: bool = False
