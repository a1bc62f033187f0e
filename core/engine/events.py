"""The engine's events: frozen, plain Python, no tensors. Events of one kind may be merged on the way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from vectors.completion import Completion, Judgement
from vectors.vector import model_label

if TYPE_CHECKING:
    from vectors.store.reports import Report


@dataclass(frozen=True)
class Event:
    """`task` is the number of the handle that `submit` gave."""

    task: int

    def merged_with(self, later: Event) -> Event | None:
        """One event that says what this one and then `later` say, or None where both must be delivered."""
        return None


@dataclass(frozen=True)
class TaskStarted(Event):
    label: str


@dataclass(frozen=True)
class TaskEnded(Event):
    """`outcome`: done, cancelled or failed; a failure says what happened and what to do about it."""

    outcome: str
    message: str = ""
    remedy: str = ""
    details: str = ""


@dataclass(frozen=True)
class TaskPaused(Event):
    paused: bool


@dataclass(frozen=True)
class Progressed(Event):
    """`done` of `total` units; `total` 0 where the end cannot be told. `rate` in units a second, `eta` in seconds."""

    stage: str
    done: float
    total: float
    rate: float | None = None
    eta: float | None = None

    def merged_with(self, later: Event) -> Event | None:
        return later if isinstance(later, Progressed) and later.task == self.task else None


@dataclass(frozen=True)
class Warned(Event):
    message: str


@dataclass(frozen=True)
class ModelLoaded(Event):
    name: str
    adapter: str
    architecture: str
    n_blocks: int
    d_model: int
    dtype: str
    device: str
    fingerprint: str
    has_tokenizer: bool
    parameters: int
    seconds: float

    @property
    def label(self) -> str:
        """The name that its vectors carry."""
        return model_label(self.name, self.adapter)


@dataclass(frozen=True)
class ModelReleased(Event):
    """The model before was let go, for the next one's weights are about to be read; until they are, none is loaded."""


@dataclass(frozen=True)
class PromptMeasured(Event):
    """How a prompt looks to the model: its number of tokens and the last ones in words."""

    prompt: str
    tokens: int
    last: tuple[str, ...]


@dataclass(frozen=True)
class RadiusChosen(Event):
    """The radius and, where it was calibrated, the curve (radius, nonlinearity) it was read from."""

    radius: float
    automatic: bool
    ratio: float | None = None
    curve: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class RunStarted(Event):
    """`unsteered_kl`: of a family, KL(unsteered || base) of the prompt's next token, nats."""

    run: str
    vectors: int
    steps: int
    prompts: tuple[str, ...]
    replayed: bool
    note: str = ""
    method: str = "melbo"
    resumed: int = 0
    unsteered_kl: float | None = None


@dataclass(frozen=True)
class StepPoint:
    """Vectors first.. of the run after `step`: best objective so far, gradient norm and norm of each."""

    first: int
    step: int
    objective: tuple[float, ...]
    gradient_norm: tuple[float, ...]
    norm: tuple[float, ...] = ()


@dataclass(frozen=True)
class Stepped(Event):
    points: tuple[StepPoint, ...]

    def merged_with(self, later: Event) -> Event | None:
        if isinstance(later, Stepped) and later.task == self.task:
            return replace(later, points=self.points + later.points)
        return None


@dataclass(frozen=True)
class VectorFound(Event):
    """A finished vector, saved in the library already under `id`. `facts` is what else is known of it.

    Of a family's, `kl_to_base` is KL(vector || base) of the prompt's next token in nats, as the post's code computes it.
    """

    index: int
    id: str
    name: str
    objective: float
    norm: float
    facts: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class VectorFailed(Event):
    """A vector that came to nothing, and why; the others go on."""

    index: int
    cause: str


@dataclass(frozen=True)
class VectorsLeftOut(Event):
    """How many vectors a run that keeps some alone has kept so far, and how many not, by what their completions are."""

    kept: int
    left_out: Mapping[str, int]

    def merged_with(self, later: Event) -> Event | None:
        return later if isinstance(later, VectorsLeftOut) and later.task == self.task else None


@dataclass(frozen=True)
class LensRead(Event):
    """The tokens that vector `vector` raises and lowers the most through the unembedding, with by how much at norm 1."""

    vector: str
    raised: tuple[tuple[str, float], ...]
    lowered: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class AtlasGrown(Event):
    """Atlas `atlas` knows one more pair of blocks: its singular values, and their first relative to the residual stream."""

    atlas: str
    source: int
    target: int
    values: tuple[float, ...]
    gain: float


@dataclass(frozen=True)
class TrialDone(Event):
    """Score `score` knows the outcome of one more trial: how a way of looking did, as numbers by name."""

    score: str
    trial: str
    facts: dict[str, Any]


@dataclass(frozen=True)
class Reported(Event):
    """What an evaluation came to by now; it is kept in the library as `id`. Later ones replace earlier ones."""

    id: str
    report: Report

    def merged_with(self, later: Event) -> Event | None:
        return later if isinstance(later, Reported) and later.task == self.task else None


@dataclass(frozen=True)
class RunStopped(Event):
    """The method ended the run before all vectors that were asked for, and why: a family that has no more members."""

    reason: str


# Keys of a training run's `Generated` events besides the vectors' indices; controls are `control:0`, `control:1` ...
UNSTEERED, CONTROL = "unsteered", "control"


@dataclass(frozen=True)
class Generated(Event):
    """The completion of the row `key` as far as it has come, to the user's message `prompt`, None where that is no text.
    Later ones replace earlier ones."""

    key: str
    completion: Completion
    tokens_per_second: float | None = None
    prompt: str | None = None

    @cached_property
    def judgement(self) -> Judgement:
        """That of the completion so far; made where it is read, since most events are merged into later ones unread."""
        from core.evaluation.judging import judge  # with the rules, which the first frame does without

        return judge(self.completion, self.prompt)

    def merged_with(self, later: Event) -> Event | None:
        same = isinstance(later, Generated) and later.task == self.task and later.key == self.key
        return later if same else None
