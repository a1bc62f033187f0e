"""What is known of a training run, gathered from its events. Plain data: the panes draw it, the tests feed it by hand."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.engine.events import (
    CONTROL,
    UNSTEERED,
    Event,
    Generated,
    Progressed,
    RadiusChosen,
    RunStarted,
    RunStopped,
    Stepped,
    TaskEnded,
    TaskPaused,
    VectorFailed,
    VectorFound,
    VectorsLeftOut,
)
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
    vectors: dict[int, VectorFound] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)  # vectors that the run did not keep, by what their completions are
    stopped: str = ""
    norm: dict[int, list[tuple[int, float]]] = field(default_factory=dict)
    highest: float = 0.0
    generated: dict[str, Generated] = field(default_factory=dict)  # the last of each row
    continuing: set[str] = field(default_factory=set)  # rows whose completions are being continued

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
        elif isinstance(event, VectorsLeftOut):
            self.left_out = dict(event.left_out)
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
            self.vectors[event.index] = event
            self.highest = max(self.highest, event.objective)
        elif isinstance(event, Generated):
            self.generated[event.key] = event
        elif isinstance(event, TaskPaused):
            self.paused = event.paused
        elif isinstance(event, TaskEnded):
            self.ended = event

    def rows_changed_by(self, event: Event) -> list[str]:
        """Keys of the rows that look different after `event`, which was just taken in."""
        if isinstance(event, Generated):
            return [event.key]
        if isinstance(event, VectorFound):
            # Effects are shares of the highest objective, so a new highest changes them all.
            return self.rows() if event.objective == self.highest else [str(event.index)]
        if isinstance(event, TaskEnded):
            return self.unsampled()
        return []

    def unsampled(self) -> list[str]:
        """Keys of the vectors whose sample has not been made, or not to its end."""
        keys = (str(index) for index in sorted(self.vectors))
        return [key for key in keys if (one := self.generated.get(key)) is None or not one.completion.finished]

    def lack(self, key: str) -> str:
        """What to do for the sample of a row that has none, where the run will make none any more; else nothing."""
        if self.running or key in self.continuing or key not in self.unsampled():
            return ""
        return NO_SAMPLE if key not in self.generated else CUT_SHORT

    @property
    def family(self) -> bool:
        """Whether it trains an orthogonal family off a base vector."""
        return self.started is not None and self.started.method == "ortho"

    @property
    def thinks(self) -> bool:
        """Whether any answer has a thought before it."""
        return any(one.completion.thought_tokens for one in self.generated.values())

    @property
    def running(self) -> bool:
        return self.ended is None

    def rows(self) -> list[str]:
        """Keys of what there is to show: the vectors in order, then the unsteered model and the controls."""
        controls = sorted(key for key in self.generated if key.startswith(CONTROL))
        return [*(str(i) for i in sorted(self.vectors)), *([UNSTEERED] if UNSTEERED in self.generated else []), *controls]

    def vector(self, key: str) -> VectorFound | None:
        """The vector that a row's key stands for, None for the unsteered model and the controls."""
        return self.vectors.get(int(key)) if key.isdecimal() else None

    def kl_to_base(self, key: str) -> float | None:
        """KL(row || base) of the prompt's next token in nats: of a family's vector, or of the unsteered model beside it."""
        if key == UNSTEERED:
            return self.started.unsteered_kl if self.started is not None else None
        vector = self.vector(key)
        return dict(vector.facts).get("kl_to_base") if vector is not None else None

    def effect(self, index: int) -> float:
        """The vector's objective as a share of the run's highest, 0 to 1."""
        return self.vectors[index].objective / self.highest if self.highest > 0 else 0.0

    def mean_objective(self) -> list[tuple[int, float]]:
        """The mean over vectors of the objective, by step."""
        return _mean_by_step(self.objective)

    def mean_gradient(self) -> list[tuple[int, float]]:
        return _mean_by_step(self.gradient)

    def without_vectors(self) -> str:
        """What stands where the vectors will: the stage that the run is at or, when it has ended, why there are none."""
        if self.ended is None:
            return f"{self.progress.stage} …" if self.progress else ""
        if self.ended.outcome == "failed":
            return f"The run stopped: {self.ended.message}." + (f"\n{self.ended.remedy}." if self.ended.remedy else "")
        return "Stopped before any vector was trained." if self.ended.outcome == "cancelled" else ""

    def selection(self) -> str:
        """How many of the vectors were kept and what the others' completions are; empty where all are."""
        if not self.left_out:
            return ""
        trained = len(self.vectors) + sum(self.left_out.values())
        why = ", ".join(f"{count} {what}" for what, count in self.left_out.items())
        return f"{len(self.vectors) or 'none'} of {trained} kept (the others: {why})"

    def summary(self, width: int | None = None) -> str:
        """What came of it beside the controls, in one line, short where `width` cells are few; empty before anything was
        generated."""
        selection = self.selection()
        left = None if width is None else width - (len(selection) + len("; of these ") if selection else 0)
        return "; of these ".join(part for part in (selection, self._tally(left)) if part)

    def _tally(self, width: int | None) -> str:
        vectors = [self.generated[str(i)] for i in self.vectors if str(i) in self.generated]
        controls = [one for key, one in self.generated.items() if key.startswith(CONTROL)]
        base = self.generated.get(UNSTEERED)
        if not vectors or base is None:
            return ""
        if base.completion.thinking:
            return f"the unsteered model's thought came to no answer in {base.completion.thought_tokens} tokens"
        answered, others = ([one for one in some if not one.completion.thinking] for some in (vectors, controls))
        missing = len(vectors) - len(answered)
        silent = f"; {missing} thoughts came to no answer" if missing else ""
        if base.judgement.refuses:
            from core.evaluation.tally import Tally  # with the rules, which the first frame does without

            own, random = (Tally.over(one.judgement for one in some) for some in (vectors, controls))
            return own.beside(random, None if width is None else width - len(silent)) + silent
        opening = _opening(base)
        changed, moved = (sum(_opening(one) != opening for one in some) for some in (answered, others))
        return (
            f"{changed} of {len(vectors)} begin differently from the unsteered model; "
            f"random: {moved} of {len(controls)}{silent}"
        )


def _opening(one: Generated) -> str:
    return " ".join(one.completion.text.split()[:4]).lower()


def _mean_by_step(curves: dict[int, list[tuple[int, float]]]) -> list[tuple[int, float]]:
    totals: dict[int, list[float]] = {}
    for points in curves.values():
        for step, value in points:
            totals.setdefault(step, []).append(value)
    return [(step, sum(values) / len(values)) for step, values in sorted(totals.items())]
