"""What the engine can be asked to evaluate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.engine.requests import BACKGROUND, Request, Resumable
from core.errors import SettingsError
from core.evaluation import METRICS
from core.evaluation.declarations.general import General
from core.evaluation.metric import Metric
from core.prompt import Prompt
from core.specs import made
from core.steering.terms import Steering
from vectors.vector import SteeringVector

# The ways of looking for vectors that a score compares; see core/organism/score.py.
SCORED_WAYS = ("power", "adamw", "orthogonal", "random")


@dataclass(frozen=True)
class Evaluate(General, Request):
    """`metric` of `steerings`, each a condition, on `prompts`; without prompts, those that their vectors were trained on.

    What every metric can be told is declared in core/evaluation/declarations/general.py.
    `settings` are the metric's own (core/evaluation/metric.py); `answers` are the right ones, several a prompt.
    """

    task_module = "core.engine.tasks.evaluate"
    priority = BACKGROUND

    metric: str
    steerings: tuple[Steering, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    answers: tuple[tuple[str, ...], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        metric = METRICS.named(self.metric, "metric")
        if len(self.steerings) < metric.least_vectors:
            raise SettingsError("no vector is named", "give names, --run RUN or --filter FILTER")
        if not all(self.steerings):
            raise SettingsError("a condition has no vector", "leave it out: the unsteered model is always measured")
        if metric.questions and (not self.answers or len(self.answers) != len(self.prompts)):
            raise SettingsError("no questions with answers are given", "name a file of them with --questions FILE")
        super().__post_init__()
        _ = self.asked, self.own

    @property
    def declaration(self) -> Metric:
        """What the metric says of itself."""
        return METRICS[self.metric]

    @property
    def own(self) -> Any:
        """The metric's settings as its declaration has them. Raises SettingsError for what cannot be."""
        return made(self.declaration.settings, self.settings, self.metric)

    @property
    def vectors(self) -> tuple[SteeringVector, ...]:
        """All that the steerings add, set or remove."""
        return tuple(term.vector for steering in self.steerings for term in steering)

    @property
    def label(self) -> str:
        return f"evaluating {self.metric}"

    @property
    def asked(self) -> tuple[Prompt, ...]:
        """The prompts, or those that the vectors were trained on. Raises SettingsError where there are none."""
        if self.prompts:
            return self.prompts
        found: list[Prompt] = []
        for vector in self.vectors:
            for text in vector.origin.prompts:
                if text.strip() and not text.startswith("token ids "):
                    prompt = Prompt.of(vector.origin, text)
                    found += [prompt] if prompt not in found else []
        if not found:
            raise SettingsError(
                "no prompt is given, and the vectors record none", "give one with --prompt, or a file with --prompts"
            )
        return tuple(found)


@dataclass(frozen=True)
class ScoreOrganism(Resumable):
    """How often each of `ways` finds what the bundled adapter hides: `vectors` a run, from `n_prompts` prompts, `seeds` times,
    at radius auto and at `scales` times it. `resume` is the id of a score that is to be completed."""

    task_module = "core.organism.score_task"
    priority = BACKGROUND

    ways: tuple[str, ...] = SCORED_WAYS
    n_prompts: int = 5
    seeds: int = 3
    vectors: int = 32
    scales: tuple[float, ...] = (0.7, 1.4)
    resume: str | None = None

    label = "scoring the methods"

    def __post_init__(self) -> None:
        if not self.ways or (stray := [way for way in self.ways if way not in SCORED_WAYS]):
            named = stray[0] if self.ways else "nothing"
            raise SettingsError(f"{named!r} cannot be scored", f"use some of: {','.join(SCORED_WAYS)}")
        if not 1 <= self.n_prompts <= 5:
            raise SettingsError(f"the score knows five prompts, not {self.n_prompts}", "use 1 to 5")
        for name in ("seeds", "vectors"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1")
        if not all(0 < scale < float("inf") for scale in self.scales):
            raise SettingsError("a radius is a positive multiple of the radius auto", "for example --radii 0.5,0.7,1.4")
