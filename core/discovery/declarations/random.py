"""What random vectors can be told; core/discovery/random.py draws them."""

from __future__ import annotations

from dataclasses import dataclass

from core.discovery.method import Method, WithObjective


@dataclass(frozen=True)
class Settings(WithObjective):
    batch: int = 64


METHOD = Method("Random vectors of the same norm: the control.", Settings, "core.discovery.random")
