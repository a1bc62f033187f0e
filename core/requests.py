"""What the engine can be asked for. Frozen plain data, made without torch; each names the task that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from core.errors import SettingsError
from core.model_source import ModelSpec
from core.steering import Steering

# Higher runs first: a chat reply or a sample runs between the steps of a training run.
BACKGROUND, INTERACTIVE, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Request:
    """`task_module` is imported only when the request is run; its `run(session, request, emit)` is the task's generator."""

    task_module: ClassVar[str]
    priority: ClassVar[int] = INTERACTIVE

    @property
    def label(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class LoadModel(Request):
    task_module = "core.tasks.load"
    priority = FIRST
    spec: ModelSpec = field(default_factory=ModelSpec)

    @property
    def label(self) -> str:
        return f"loading {self.spec.model}"


@dataclass(frozen=True)
class Prompt:
    """A prompt as text, wrapped in the chat template unless `raw`, or as token ids."""

    text: str = ""
    ids: tuple[int, ...] = ()
    system: str | None = None
    raw: bool = False
    template: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.text.strip() and not self.ids:
            raise SettingsError("the prompt is empty", "type what the model should be asked")

    def shown(self) -> str:
        return self.text if self.text else "token ids " + ",".join(map(str, self.ids))


@dataclass(frozen=True)
class MeasurePrompt(Request):
    task_module = "core.tasks.measure"
    prompt: Prompt

    label = "reading the prompt"


@dataclass(frozen=True)
class Train(Request):
    """A run of a discovery method. `radius` None: calibrated. `source`, `target` None: a quarter and 0.7 of the depth."""

    task_module = "core.tasks.train"
    priority = BACKGROUND

    prompts: tuple[Prompt, ...]
    method: str = "melbo"
    source: int | None = None
    target: int | None = None
    radius: float | None = None
    vectors: int = 16
    steps: int | None = None
    seed: int = 0
    optimizer: str = "power"
    learning_rate: float = 1e-3
    power: float = 2.0
    root: float = 2.0
    norm_axis: str = "features"
    orthogonal: bool = False
    tokens: str = "last:6"
    batch: int | None = None
    init: str | None = None
    name: str | None = None
    out: str | None = None
    sample_tokens: int = 40
    controls: int = 4

    def __post_init__(self) -> None:
        if not self.prompts:
            raise SettingsError("the prompt is empty", "give at least one prompt")
        if self.vectors < 1:
            raise SettingsError("at least one vector must be asked for")
        if self.radius is not None and not 0 < self.radius < float("inf"):
            raise SettingsError(f"the radius must be a positive number, not {self.radius:g}", "use auto if unsure")

    @property
    def label(self) -> str:
        return f"training {self.vectors} vectors"


@dataclass(frozen=True)
class ReplyRow:
    """One completion: the conversation as (role, text) pairs or a prompt, and the steering it is made under."""

    key: str
    messages: tuple[tuple[str, str], ...]
    steering: Steering = ()
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    max_new_tokens: int = 256
    ids: tuple[int, ...] = ()
    raw: bool = False


@dataclass(frozen=True)
class Reply(Request):
    """Completions of one or more rows at once, streamed as `Said` events."""

    task_module = "core.tasks.reply"
    rows: tuple[ReplyRow, ...]

    label = "replying"


def parse_tokens(text: str) -> int | None:
    """`all` or `last:K` as the number of last tokens the objective sees. Raises SettingsError."""
    if text == "all":
        return None
    kind, _, number = text.partition(":")
    if kind != "last" or not number.isdecimal() or int(number) < 1:
        raise SettingsError(f"{text!r} names no tokens", "use all or last:K, for example last:6")
    return int(number)


def default_blocks(n_blocks: int) -> tuple[int, int]:
    """Source and target where nothing is said: at 0.235 and 0.71 of the depth, as the published runs chose by hand."""
    source = int(0.235 * n_blocks)
    return source, max(min(round(0.71 * n_blocks), n_blocks - 1), source + 1)
