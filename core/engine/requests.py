"""What the engine can be asked for. Frozen plain data, made without torch; each names the task that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

from core.discovery import METHODS
from core.discovery.declarations.atlas import Settings as AtlasSettings
from core.discovery.declarations.general import General
from core.discovery.method import Method, Stepping
from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS
from core.model.source import ModelSpec
from core.prompt import Prompt, check_no_template
from core.specs import made
from vectors.files.bounded import decoded
from vectors.vector import SteeringVector, VectorError

if TYPE_CHECKING:
    from core.steering.terms import Steering

# Higher runs first: a chat reply or a sample runs between the steps of a training run.
BACKGROUND, INTERACTIVE, FIRST = 0, 1, 2


@dataclass(frozen=True)
class Request:
    """`task_module` is imported only when the request is run; its `run(session, request, emit)` is the task's generator.

    `puts_away`: whether the step in hand, when the program ends, is worth the wait for its end.
    """

    task_module: ClassVar[str]
    priority: ClassVar[int] = INTERACTIVE
    puts_away: ClassVar[bool] = True

    @property
    def label(self) -> str:
        return type(self).__name__

    @property
    def described(self) -> str:
        """What a log may say of it: none of anybody's words."""
        return type(self).__name__


@dataclass(frozen=True)
class LoadModel(Request):
    task_module = "core.engine.tasks.load"
    priority = FIRST
    puts_away = False
    spec: ModelSpec = field(default_factory=ModelSpec)

    @property
    def label(self) -> str:
        return f"loading {self.spec.model}"

    @property
    def described(self) -> str:
        return f"{self.label} as {self.spec.dtype} on {self.spec.device_map or self.spec.device}"


@dataclass(frozen=True)
class MeasurePrompt(Request):
    task_module = "core.engine.tasks.tokenize"
    prompt: Prompt

    label = "reading the prompt"


class Resumable(Request):
    """A request that can be written down with its unfinished work, and taken up again: a dataclass of plain values."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Reads `to_json`'s form. Raises SettingsError where that is not possible."""
        try:
            return decoded(cls, dict(data))
        except VectorError as error:
            raise SettingsError(f"the interrupted run's settings cannot be read ({error})", "start it anew") from error


@dataclass(frozen=True)
class Train(General, Resumable):
    """A run of a discovery method; what every method can be told is declared in core/discovery/declarations/general.py.

    `settings` are the method's own (core/discovery/method.py).
    `resume` is the id of an interrupted run that this request is to take up again; all else is as it was then, but `out`.
    """

    task_module = "core.engine.tasks.train"
    priority = BACKGROUND

    prompts: tuple[Prompt, ...]
    method: str = "melbo"
    settings: Mapping[str, Any] = field(default_factory=dict)
    resume: str | None = None

    def __post_init__(self) -> None:
        METHODS.named(self.method, "method")
        if not self.prompts:
            raise SettingsError("the prompt is empty", "give at least one prompt")
        super().__post_init__()
        self.own()

    @property
    def declaration(self) -> Method:
        """What the method says of itself."""
        return METHODS[self.method]

    def own(self, **others: Any) -> Stepping:
        """The method's settings as its declaration has them, with `others` of their fields. Raises SettingsError."""
        kind = self.declaration.settings
        general = {"batch": self.batch, "steps": self.steps} | others
        has = {field.name for field in fields(kind)}
        known = {name: value for name, value in general.items() if name in has and value is not None}
        return made(kind, self.settings, self.method, **known)

    @property
    def count(self) -> int:
        """How many vectors the run trains."""
        return self.vectors if self.vectors is not None else self.declaration.vectors

    @property
    def label(self) -> str:
        return f"training {self.count} vectors"


@dataclass(frozen=True)
class MapBlocks(AtlasSettings, Resumable):
    """An atlas: power steering between every two blocks, as core/discovery/declarations/atlas.py declares it.

    `resume` is the id of an atlas that is to be completed.
    """

    task_module = "core.engine.tasks.map_blocks"
    priority = BACKGROUND

    prompts: tuple[Prompt, ...]
    resume: str | None = None

    label = "mapping the blocks"

    def __post_init__(self) -> None:
        if not self.prompts:
            raise SettingsError("the prompt is empty", "give at least one prompt")
        super().__post_init__()


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
    template: Mapping[str, Any] = field(default_factory=dict)
    thought_tokens: int = THOUGHT_TOKENS

    def __post_init__(self) -> None:
        if self.raw:
            check_no_template(next((text for role, text in self.messages if role == "system"), None), self.template)

    @property
    def only_message(self) -> str | None:
        """What the user asks; None where it is token ids, or the last of several messages."""
        texts = [text for role, text in self.messages if role == "user"]
        return texts[0] if len(texts) == 1 and texts[0].strip() and not self.ids else None

    @classmethod
    def of(cls, key: str, prompt: Prompt, steering: Steering, max_new_tokens: int) -> ReplyRow:
        """The answer to `prompt`."""
        row = cls(key, prompt.messages, steering, max_new_tokens=max_new_tokens)
        return replace(row, ids=prompt.ids, raw=prompt.raw, template=prompt.template)


@dataclass(frozen=True)
class Reply(Request):
    """Completions of one or more rows at once, streamed as `Generated` events."""

    task_module = "core.engine.tasks.reply"
    rows: tuple[ReplyRow, ...]

    label = "replying"


@dataclass(frozen=True)
class ReadLens(Request):
    """The logit lens of a vector."""

    task_module = "core.engine.tasks.lens"
    vector: SteeringVector

    label = "reading the logit lens"
