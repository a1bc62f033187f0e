"""What a metric says of itself, readable without torch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.evaluation.declarations.general import General
from core.specs import Declared, Setting, check_apart, declared, with_auto


@dataclass(frozen=True)
class NoSettings(Declared):
    """Of a metric that has no options of its own."""


@dataclass(frozen=True)
class Metric:
    """`summary` is for whoever chooses, `about` for whoever has chosen; the declared fields of `settings` (core/specs.py) are
    the metric's options.

    `module` has the metric's `measure(context)`, a generator of steps (context.py), and is imported when it is run.
    `tokens`: how long the completions are that it samples; 0 where it samples none. `least_vectors` 0: it tells something with
    none. `questions`: its prompts come with the answers that are right. `controls`: how many random vectors stand beside.
    """

    summary: str
    about: str
    module: str
    settings: type[Declared] = NoSettings
    tokens: int = 0
    least_vectors: int = 1
    questions: bool = False
    controls: int = 4

    def __post_init__(self) -> None:
        check_apart(self.settings, General)

    @property
    def options(self) -> Mapping[str, Setting]:
        """Its own."""
        return declared(self.settings)

    @property
    def general(self) -> Mapping[str, Setting]:
        """Those of every metric that mean something to this one, with its own numbers as what they are by default."""
        return _fitted(self)

    def load(self) -> Any:
        return importlib.import_module(self.module)


@cache
def _fitted(metric: Metric) -> Mapping[str, Setting]:
    numbers = {"controls": metric.controls, "tokens": metric.tokens}
    meant = dict(declared(General))
    if not metric.tokens:
        del meant["tokens"], meant["thought_tokens"]
    return {name: setting if name not in numbers else with_auto(setting, str(numbers[name])) for name, setting in meant.items()}
