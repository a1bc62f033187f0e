"""The fields of a new run: what each is called, what it may hold, and what it means."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from textual.widget import Widget
from textual.widgets import Input, Static, TextArea

from core.discovery import METHODS
from core.errors import SettingsError
from core.limits import THOUGHT_TOKENS
from core.prompt import Prompt
from core.segment.objective_tokens import parse_tokens
from core.template_arguments import parse_line
from melbo_tui.typed_prompts import FILES, typed_prompts
from melbo_tui.widgets.field import Check, Field, choice
from melbo_tui.widgets.prompt_entry import PromptEntry
from vectors.plain_text import clean_name, natural

# Fields that only some methods have; contrast is no search, so what describes one is not for it.
SEARCHES = tuple(name for name in METHODS if name != "contrast")
ONLY_FOR = {
    "base": ("ortho",), "norm_penalty": ("ortho",), "optimizer": ("melbo",), "orthogonal": ("melbo",),
    "positive": ("contrast",), "negative": ("contrast",), "select": ("contrast",),
    "target": SEARCHES, "vectors": SEARCHES, "steps": SEARCHES,
}  # fmt: skip


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


def penalty(text: str) -> float | None:
    """`auto` as None, else a number that is not negative. Raises SettingsError."""
    if text.strip() in ("auto", ""):
        return None
    try:
        value = float(text)
    except ValueError:
        raise SettingsError("auto or a number is needed") from None
    if not 0 <= value < float("inf"):
        raise SettingsError("the penalty must not be negative")
    return value


def first_fields(prompt: str, base: Check) -> Iterator[Widget]:
    """What everybody looks at, with lines between that tell what the prompt and the blocks come to.

    `base` checks a vector's name.
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
        choice([(name, name) for name in METHODS]),
        METHODS["melbo"].summary,
    )
    yield Field(
        "base",
        "Base",
        Input("", placeholder="a vector's name", compact=True),
        "The vector that the family starts from: each new one does the same and is orthogonal to all before it. "
        "f on a vector puts it here.",
        base,
    )
    yield Field(
        "positive",
        "More of",
        TextArea("", compact=True, tab_behavior="focus", placeholder="prompts, one a line, or a file"),
        f"Prompts that show what the vector should stand for: for a refusal direction, harmful ones. One a line, or {FILES}.",
        typed_prompts,
    )
    yield Field(
        "negative",
        "Less of",
        TextArea("", compact=True, tab_behavior="focus", placeholder="prompts, one a line, or a file"),
        "Prompts that do not show it, as like the others as can be.",
        typed_prompts,
    )
    yield Field(
        "select",
        "Place",
        choice([("steer at, last token", "no"), ("chosen by trying", "yes")]),
        "Chosen by trying: every early block and the last tokens, by what ablating and adding do to held-out prompts.",
    )
    yield Field(
        "source",
        "Steer at",
        Input("auto", compact=True),
        "The block whose output is steered, counted from 0. Early blocks, about a quarter of the depth, work well.",
        whole(0, auto=True),
    )
    yield Field(
        "target",
        "Watch at",
        Input("auto", compact=True),
        "The block whose output should change the most: after the steered one, about 0.7 of the depth.",
        whole(0, auto=True),
    )
    yield Static("", id="depth", markup=False)
    yield Field(
        "radius",
        "Radius",
        Input("auto", compact=True),
        "The size of the push. auto measures how much this model takes before it stops answering in "
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
        "How long each vector is trained. auto: as many as the method needs ("
        + "; ".join(f"{name} {METHODS[name].steps}" for name in ("melbo", "ortho"))
        + ").",
        whole(1, 1_000_000, auto=True),
    )


def more_fields() -> Iterator[Widget]:
    """What most leave alone."""
    yield Field(
        "optimizer",
        "Optimizer",
        choice([("power iteration", "power"), ("AdamW, as published", "adamw")]),
        "Power iteration climbs in tens of steps. AdamW is the published loop, exactly, and much slower.",
    )
    yield Field(
        "norm_penalty",
        "Penalty",
        Input("auto", compact=True),
        "What a family's vectors pay for their norm. Smaller: a longer family of longer vectors; at 0 random "
        "vectors of their norm act too, and the family proves less. auto: 1.",
        penalty,
    )
    yield Field(
        "tokens",
        "Tokens",
        Input("last:6", compact=True),
        "Which of the prompt's tokens the objective sees: last:K or all. The first token's huge activations can "
        "drown the others', so the last ones are the default.",
        parse_tokens,
    )
    yield Field(
        "orthogonal",
        "Orthogonal",
        choice([("no", "no"), ("to all before", "yes")]),
        "Each vector at a right angle to those before it: more variety, some of it weaker.",
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
