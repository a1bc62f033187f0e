"""What an atlas can be told, power steering between every two blocks; core/discovery/atlas.py makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.discovery.declarations.general import Seed, Tokens
from core.limits import MOST
from core.specs import Declared, Option


@dataclass(frozen=True, kw_only=True)
class Settings(Declared):
    """`top` singular values a pair, by at most `steps` iterations, between every two of each `every`-th block."""

    top: Annotated[int, Option("singular values a pair", metavar="K", low=1, high=MOST["steps"])] = 3
    every: Annotated[int, Option("only every Nth block", metavar="N", low=1, high=MOST["steps"])] = 1
    steps: Annotated[int, Option("iterations a pair at most", metavar="N", low=1, high=MOST["steps"])] = 12
    tokens: Tokens = "last:6"
    seed: Seed = 0
