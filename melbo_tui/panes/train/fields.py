"""The fields of a new run: what each is called, what it may hold, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input, Static

from core.discovery import METHODS
from core.discovery.method import Method
from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS
from core.prompt import Prompt
from core.segment.objective_tokens import parse_tokens
from core.template_arguments import parse_line
from melbo_tui.widgets.field import Field, choice
from melbo_tui.widgets.prompt_entry import PromptEntry
from vectors.plain_text import clean_name, natural


def whole(low: int, high: int | None = None, auto: bool = False) -> Callable[[str], int | None]:
    """A check for whole numbers from `low` to `high`; with `auto`, the word auto means None."""

    def read(text: str) -> int | None:
        text = text.strip()
        if auto and text in ("auto", ""):
            return None
        number = natural(text)
        if number is None or number < low or (high is not None and number > high):
            span = f"from {low} to {high}" if high is not None else f"of at least {low}"
            raise SettingsError(f"a whole number {span}" + (" or auto" if auto else "") + " is needed")
        return number

    return read


def radius(text: str) -> float | None:
    """`auto` as None, else a positive number. Raises SettingsError."""
    if text.strip() in ("auto", ""):
        return None
    try:
        value = float(text)
    except ValueError:
        raise SettingsError("auto or a positive number is needed") from None
    if not 0 < value < float("inf"):
        raise SettingsError("the radius must be positive")
    return value


def prompt_of(text: str) -> Prompt:
    return Prompt(text.strip())


def name_or_none(text: str) -> str | None:
    return clean_name(text) if text.strip() else None


def steps_explained(method: Method) -> str:
    return f"How long each vector is trained. auto: {method.steps}."


def first_fields(prompt: str) -> Iterator[Widget]:
    """What everybody looks at, with lines between that tell what the prompt and the blocks come to; `own` is for the
    method's.
    """
    entry = PromptEntry(prompt, placeholder="What to ask the model")
    yield Field(
        "prompt",
        "Prompt",
        entry,
        "The one question that the vectors are trained on. Try one that the model refuses or answers always alike.",
        prompt_of,
    )
    yield Static("", id="prompt-facts", markup=False)
    yield Field(
        "method",
        "Method",
        choice([(name, name) for name in METHODS.own]),
        METHODS["melbo"].summary,
        lambda name: METHODS.named(name, "method"),
    )
    yield Vertical(id="own")
    yield Field(
        "source",
        "Source",
        Input("auto", compact=True),
        "The block whose output is steered, counted from 0. Early blocks, about a quarter of the depth, work well.",
        whole(0, auto=True),
    )
    yield Field(
        "target",
        "Target",
        Input("auto", compact=True),
        "The block whose output should change the most: after the steered one, about 0.7 of the depth.",
        whole(0, auto=True),
    )
    yield Static("", id="depth", markup=False)
    yield Field(
        "radius",
        "Radius",
        Input("auto", compact=True),
        "The norm of the vectors. auto measures up to which norm this model still responds in "
        "proportion, and stays below. Larger: stranger, then broken text.",
        radius,
    )
    yield Field(
        "vectors",
        "Vectors",
        Input("16", compact=True),
        "How many to look for. Each starts at its own random draw and finds its own way to change the model.",
        whole(1, 100_000),
    )
    yield Field(
        "steps",
        "Steps",
        Input("auto", compact=True),
        steps_explained(METHODS["melbo"]),
        whole(1, 1_000_000, auto=True),
    )


def more_fields() -> Iterator[Widget]:
    """What most leave alone, of every method."""
    yield Field(
        "tokens",
        "Tokens",
        Input("last:6", compact=True),
        "Which of the prompt's tokens the objective sees: last:K or all. The first token's huge activations can "
        "drown the others', so the last ones are the default.",
        parse_tokens,
    )
    yield Field(
        "system",
        "System",
        Input("", placeholder="the model's own", compact=True),
        "The system text before the prompt. Empty: what the model's chat template says by itself.",
    )
    yield Field(
        "template",
        "Template",
        Input("", placeholder="KEY=VALUE, with spaces between", compact=True),
        "Arguments of the model's chat template, as enable_thinking=false. They are kept with the vectors, which are "
        "sampled, measured and talked to with them.",
        parse_line,
    )
    yield Field(
        "thought_tokens",
        "Thoughts",
        Input(str(THOUGHT_TOKENS), compact=True),
        "How many tokens a thinking model's thought may have in the samples. One that has not ended by then has no answer.",
        whole(1, 100_000),
    )
    yield Field("seed", "Seed", Input("0", compact=True), "The same seed finds the same vectors again.", whole(0))
    yield Field(
        "name",
        "Names",
        Input("", placeholder="from the prompt", compact=True),
        "What the vectors are called before their numbers.",
        name_or_none,
    )
