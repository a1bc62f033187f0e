"""What is known of a training run, gathered from its events. Plain data: the panes draw it, the tests feed it by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from core.engine.events import (
    CONTROL,
    UNSTEERED,
    Event,
    Progressed,
    RadiusChosen,
    RunStarted,
    RunStopped,
    Said,
    Stepped,
    TaskEnded,
    TaskPaused,
    VectorFailed,
    VectorFound,
)
from core.evaluation.damage import BROKEN_PERPLEXITY, BROKEN_REPETITION
from melbo_tui.formatting import CUT_SHORT, NO_SAMPLE


@dataclass
class RunState:
    """One run as it stands. `objective` and `gradient` hold, per vector, (step, value) points."""

    asked: int = 0
    started: RunStarted | None = None
    radius: RadiusChosen | None = None
    progress: Progressed | None = None
    ended: TaskEnded | None = None
    paused: bool = False
    objective: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    gradient: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    found: dict[int, VectorFound] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    stopped: str = ""
    norm: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    highest: float = 0.0
    said: dict[str, Said] = field(default_factory=dict)
    going_on: set[str] = field(default_factory=set)  # rows whose completions are being continued

    def take(self, event: Event) -> None:
        """Takes in an event of the run's task."""
        if isinstance(event, Stepped):
            for point in event.points:
                for i, value in enumerate(point.objective):
                    self.objective.setdefault(point.first + i, []).append((point.step, value))
                for i, value in enumerate(point.gradient_norm):
                    self.gradient.setdefault(point.first + i, []).append((point.step, value))
                for i, value in enumerate(point.norm):
                    self.norm.setdefault(point.first + i, []).append((point.step, value))
        elif isinstance(event, VectorFailed):
            self.failed[event.index] = event.cause
        elif isinstance(event, RunStopped):
            self.stopped = event.reason
        elif isinstance(event, RunStarted):
            self.started, self.asked = event, event.vectors
        elif isinstance(event, RadiusChosen):
            self.radius = event
        elif isinstance(event, Progressed):
            self.progress = event
        elif isinstance(event, VectorFound):
            self.found[event.index] = event
            self.highest = max(self.highest, event.objective)
        elif isinstance(event, Said):
            self.said[event.key] = event
        elif isinstance(event, TaskPaused):
            self.paused = event.paused
        elif isinstance(event, TaskEnded):
            self.ended = event

    def rows_changed_by(self, event: Event) -> list[str]:
        """Keys of the rows that look different after `event`, which was just taken in."""
        if isinstance(event, Said):
            return [event.key]
        if isinstance(event, VectorFound):
            # Effects are shares of the highest objective, so a new highest changes them all.
            return self.rows() if event.objective == self.highest else [str(event.index)]
        if isinstance(event, TaskEnded):
            return self.unsampled()
        return []

    def unsampled(self) -> list[str]:
        """Keys of the vectors whose sample has not been made, or not to its end."""
        keys = (str(index) for index in sorted(self.found))
        return [key for key in keys if (said := self.said.get(key)) is None or not said.finished]

    def lack(self, key: str) -> str:
        """What to do for the sample of a row that has none, where the run will make none any more; else nothing."""
        if self.running or key in self.going_on or key not in self.unsampled():
            return ""
        return NO_SAMPLE if key not in self.said else CUT_SHORT

    @property
    def family(self) -> bool:
        """Whether it grows an orthogonal family off a base vector."""
        return self.started is not None and self.started.method == "ortho"

    @property
    def thinks(self) -> bool:
        """Whether any answer has a thought before it."""
        return any(said.thought_tokens for said in self.said.values())

    @property
    def running(self) -> bool:
        return self.ended is None

    def rows(self) -> list[str]:
        """Keys of what there is to show: found vectors in order, then the unsteered model and the controls."""
        controls = sorted(key for key in self.said if key.startswith(CONTROL))
        return [*(str(i) for i in sorted(self.found)), *([UNSTEERED] if UNSTEERED in self.said else []), *controls]

    def vector(self, key: str) -> VectorFound | None:
        """The found vector that a row's key stands for, None for the unsteered model and the controls."""
        return self.found.get(int(key)) if key.isdecimal() else None

    def kl_to_base(self, key: str) -> float | None:
        """KL(row || base) of the prompt's next token in nats: of a family's vector, or of the unsteered model beside it."""
        if key == UNSTEERED:
            return self.started.unsteered_kl if self.started is not None else None
        found = self.vector(key)
        return dict(found.facts).get("kl_to_base") if found is not None else None

    def effect(self, index: int) -> float:
        """The vector's objective as a share of the run's highest, 0 to 1."""
        return self.found[index].objective / self.highest if self.highest > 0 else 0.0

    def mean_objective(self) -> list[tuple[int, float]]:
        """The mean over vectors of the objective, by step."""
        return _mean_by_step(self.objective)

    def mean_gradient(self) -> list[tuple[int, float]]:
        return _mean_by_step(self.gradient)

    def without_finds(self) -> str:
        """What stands where the found vectors will: the stage that the run is at or, when it has ended, why there are none."""
        if self.ended is None:
            return f"{self.progress.stage} …" if self.progress else ""
        if self.ended.outcome == "failed":
            return f"The run stopped: {self.ended.message}." + (f"\n{self.ended.remedy}." if self.ended.remedy else "")
        return "Stopped before anything was found." if self.ended.outcome == "cancelled" else ""

    def summary(self) -> str:
        """What came of it beside the controls, in one line; empty before anything was said."""
        said = [self.said[str(i)] for i in self.found if str(i) in self.said]
        controls = [said for key, said in self.said.items() if key.startswith(CONTROL)]
        base = self.said.get(UNSTEERED)
        if not said or base is None:
            return ""
        if base.thinking:
            return f"the unsteered model's thought came to no answer in {base.thought_tokens} tokens"
        answered, others = ([one for one in some if not one.thinking] for some in (said, controls))
        silent = f"; {len(said) - len(answered)} thoughts came to no answer" if len(answered) < len(said) else ""
        if base.refuses:
            freed = sum(not s.refuses for s in answered)
            broken = sum(s.broken and not s.refuses for s in answered)
            return (
                f"{freed} of {len(said)} no longer refuse ({broken} of them broken); "
                f"random: {sum(not c.refuses for c in others)} of {len(controls)}{silent}"
            )
        changed = sum(_opening(s.text) != _opening(base.text) for s in answered)
        moved = sum(_opening(c.text) != _opening(base.text) for c in others)
        return (
            f"{changed} of {len(said)} begin differently from the unsteered model; random: {moved} of {len(controls)}{silent}"
        )


def damage(said: Said) -> float:
    """How broken a completion is, 0 to 1 and more: 1 is where its perplexity or its repetition counts as broken text."""
    surprise = math.log(max(said.perplexity, 1.0)) / math.log(BROKEN_PERPLEXITY) if said.perplexity is not None else 0.0
    return max(surprise, said.repetition / BROKEN_REPETITION)


def verdict(said: Said) -> str:
    """One word on a completion, or none."""
    if said.thinking and said.finished:
        return "no answer"
    return "refuses" if said.refuses else "broken" if said.broken else ""


def _opening(text: str) -> str:
    return " ".join(text.split()[:4]).lower()


def _mean_by_step(curves: dict[int, list[tuple[int, float]]]) -> list[tuple[int, float]]:
    totals: dict[int, list[float]] = {}
    for points in curves.values():
        for step, value in points:
            totals.setdefault(step, []).append(value)
    return [(step, sum(values) / len(values)) for step, values in sorted(totals.items())]
