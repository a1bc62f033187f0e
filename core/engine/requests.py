"""What the engine can be asked for. Frozen plain data, made without torch; each names the task that runs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self

from core.discovery import METHODS
from core.errors import SettingsError
from core.model.source import ModelSpec
from core.model.template_arguments import arguments_of
from core.steering.terms import Steering
from vectors.files.bounded import MOST_TEXT, Block, Norm, decoded
from vectors.plain_text import natural, one_line, well_formed
from vectors.vector import Origin, SteeringVector, VectorError

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


def check_no_template(system: str | None, template: Mapping[str, Any]) -> None:
    """Raises SettingsError for what only a chat template could put before a prompt that goes without one."""
    if system is not None or template:
        given = "a system text" if system is not None else "arguments of the chat template"
        raise SettingsError(
            f"{given} cannot be used where there is no chat template", "leave it out, or write it in the prompt"
        )


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
        for text in (self.text, self.system or ""):
            if well_formed(text) != text:
                raise SettingsError(f"{one_line(text, 60)!r} has bytes that are no text", "give the prompt in UTF-8")
            if len(text) > MOST_TEXT:
                raise SettingsError(f"a prompt of {len(text):,} characters is too long to be kept", f"{MOST_TEXT:,} can be")
        if self.raw or self.ids:
            check_no_template(self.system, self.template)

    @classmethod
    def of(cls, origin: Origin, text: str) -> Prompt:
        """`text`, asked as the prompts were that the vector of `origin` was found on."""
        raw = origin.settings.get("raw") is True
        return cls(text, raw=True) if raw else cls(text, system=origin.system, template=arguments_of(origin))

    @property
    def messages(self) -> tuple[tuple[str, str], ...]:
        """The conversation that it begins, as (role, text) pairs."""
        system = () if self.system is None else (("system", self.system),)
        return (*system, ("user", self.text))

    def shown(self) -> str:
        return self.text if self.text else "token ids " + ",".join(map(str, self.ids))


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


# Trained vectors leave proportion sooner than the random directions that are measured: with Mack's 0.5 they break text.
# At 0.28 most of them act and most of what they say is fluent, on all models that were tried (docs/findings.md).
_NONLINEARITY = 0.28


# Of a thinking model: a thought that has not ended by then has no answer.
THOUGHT_TOKENS = 512

# Beyond, nobody means it, and memory ends, or what torch can count.
_MOST = {
    "vectors": 100_000,
    "steps": 1_000_000,
    "batch": 100_000,
    "controls": 1_000,
    "sample_tokens": 100_000,
    "thought_tokens": 100_000,
    "tokens": 100_000,
}


def check_most(request: object, *names: str) -> None:
    """Raises SettingsError for one of the fields `names` that is below 0, or more than anybody means."""
    for name in names:
        value = getattr(request, name)
        if value is not None and not 0 <= value <= _MOST[name]:
            raise SettingsError(f"{name.replace('_', ' ')} must be a number from 0 to {_MOST[name]:,}, not {value}")


def check_thoughts(tokens: int) -> None:
    """Raises SettingsError for a limit that leaves a thought no token: every answer of a thinking model begins with one."""
    if tokens < 1:
        raise SettingsError(
            "a thought must be allowed at least one token",
            "where the template can go without: --template enable_thinking=false",
        )


def check_seed(seed: int) -> None:
    """Raises SettingsError for a seed that torch's generators do not take."""
    if abs(seed) >= 1 << 62:
        raise SettingsError(f"the seed must be a number below 2^62, not {seed}")


def check_sampling(temperature: float, top_p: float, max_new_tokens: int, seed: int, thought_tokens: int) -> None:
    """Raises SettingsError for settings of a completion that mean nothing."""
    if not 0 <= temperature < float("inf"):
        raise SettingsError(f"the temperature must be 0 or more, not {temperature:g}")
    if not 0 < top_p <= 1:
        raise SettingsError(f"top-p must be above 0 and at most 1, not {top_p:g}")
    if max_new_tokens < 1 or thought_tokens < 1:
        raise SettingsError("at least one new token must be allowed")
    check_seed(seed)


@dataclass(frozen=True)
class Train(Resumable):
    """A run of a discovery method. `radius` None: calibrated, to a nonlinearity of `ratio`.

    `source`, `target` None: a quarter and 0.7 of the depth.
    `out` names a file for the vectors beside the library's; one that is there and not this run's is replaced with `force` only.
    `settings` are the method's own (core/discovery/options.py). `vectors`, `steps` None: as the method does by itself.
    A sample's answer has at most `sample_tokens`, the thought before it at most `thought_tokens`.
    `resume` is the id of an interrupted run that this request is to take up again; all else is as it was then, but `out`.
    """

    task_module = "core.engine.tasks.train"
    priority = BACKGROUND

    prompts: tuple[Prompt, ...]
    method: str = "melbo"
    source: Block | None = None
    target: Block | None = None
    radius: Norm | None = None
    ratio: float = _NONLINEARITY
    vectors: int | None = None
    steps: int | None = None
    seed: int = 0
    tokens: str = "last:6"
    batch: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    init: str | None = None
    name: str | None = None
    out: str | None = None
    sample_tokens: int = 40
    thought_tokens: int = THOUGHT_TOKENS
    controls: int = 4
    resume: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise SettingsError(f"method {self.method!r} is unknown", f"use one of: {', '.join(METHODS)}")
        if not self.prompts:
            raise SettingsError("the prompt is empty", "give at least one prompt")
        if self.vectors is not None and self.vectors < 1:
            raise SettingsError("at least one vector must be asked for")
        if self.steps is not None and self.steps < 1:
            raise SettingsError("at least one step is needed")
        if self.batch is not None and self.batch < 1:
            raise SettingsError("a batch holds at least one vector")
        if self.radius is not None and not 0 < self.radius < float("inf"):
            raise SettingsError(f"the radius must be a positive number, not {self.radius:g}", "use auto if unsure")
        check_most(self, "vectors", "steps", "batch", "controls", "sample_tokens", "thought_tokens")
        check_thoughts(self.thought_tokens)
        check_seed(self.seed)
        if not 0 < self.ratio < 1:
            raise SettingsError(f"the calibration's ratio must lie between 0 and 1, not {self.ratio:g}")
        own = METHODS[self.method].options
        if stray := [name for name in self.settings if name not in own]:
            raise SettingsError(f"{self.method} has no setting {stray[0]!r}", f"it has: {', '.join(own) or 'none'}")
        if self.method == "ortho" and not self.settings.get("base"):
            raise SettingsError("an orthogonal family needs its base vector", "name a vector of the library with --base")

    @property
    def count(self) -> int:
        """How many vectors are looked for."""
        return self.vectors if self.vectors is not None else METHODS[self.method].vectors

    @property
    def label(self) -> str:
        return f"training {self.count} vectors"


@dataclass(frozen=True)
class MapBlocks(Resumable):
    """An atlas: power steering between every two blocks, or every two of each `every`-th.

    `top` singular values a pair, by at most `steps` iterations. `resume` is the id of an atlas that is to be completed.
    """

    task_module = "core.engine.tasks.map_blocks"
    priority = BACKGROUND

    prompts: tuple[Prompt, ...]
    top: int = 3
    every: int = 1
    steps: int = 12
    tokens: str = "last:6"
    seed: int = 0
    resume: str | None = None

    label = "mapping the blocks"

    def __post_init__(self) -> None:
        if not self.prompts:
            raise SettingsError("the prompt is empty", "give at least one prompt")
        for name in ("top", "every", "steps"):
            if not 1 <= getattr(self, name) <= _MOST["steps"]:
                raise SettingsError(f"{name} must be a number from 1 to {_MOST['steps']:,}")
        check_seed(self.seed)


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

    @classmethod
    def of(cls, key: str, prompt: Prompt, steering: Steering, max_new_tokens: int) -> ReplyRow:
        """The answer to `prompt`."""
        row = cls(key, prompt.messages, steering, max_new_tokens=max_new_tokens)
        return replace(row, ids=prompt.ids, raw=prompt.raw, template=prompt.template)


@dataclass(frozen=True)
class Reply(Request):
    """Completions of one or more rows at once, streamed as `Said` events."""

    task_module = "core.engine.tasks.reply"
    rows: tuple[ReplyRow, ...]

    label = "replying"


@dataclass(frozen=True)
class ReadLens(Request):
    """The logit lens of a vector."""

    task_module = "core.engine.tasks.lens"
    vector: SteeringVector

    label = "reading the logit lens"


def parse_tokens(text: str) -> int | None:
    """`all` or `last:K` as the number of last tokens the objective sees. Raises SettingsError."""
    if text == "all":
        return None
    kind, _, number = text.partition(":")
    last = natural(number)
    if kind != "last" or not last:
        raise SettingsError(f"{text!r} names no tokens", "use all or last:K, for example last:6")
    return last


def default_blocks(n_blocks: int) -> tuple[int, int]:
    """Source and target where nothing is said: at 0.235 and 0.71 of the depth, as the published runs chose by hand."""
    source = int(0.235 * n_blocks)
    return source, max(min(round(0.71 * n_blocks), n_blocks - 1), source + 1)
