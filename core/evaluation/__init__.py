"""What a vector does to the model, as numbers. A metric is one file and one line in METRICS.

A metric has `measure(bench)`, a generator of steps (context.py). Nothing here needs torch: `load` imports it
when it is to be run.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from core.specs import Option


@dataclass(frozen=True)
class Metric:
    """`summary` is for whoever chooses, `about` for whoever has chosen.

    `tokens`: how long the answers are that it listens to; 0 where nothing is said. `least_vectors` 0: it tells something with
    none. `questions`: its prompts come with the answers that are right. `controls`: how many random vectors stand beside.
    """

    module: str
    summary: str
    about: str
    options: tuple[str, ...] = ()
    tokens: int = 0
    least_vectors: int = 1
    questions: bool = False
    controls: int = 4

    def load(self) -> Any:
        return importlib.import_module(self.module)


OPTIONS = {
    "base": Option("--base", str, "KL to this vector too (default: the base of a family)", "VECTOR"),
    "coefficients": Option("--coefficients", str, "times the vectors are taken (default: -2,-1,-0.5,0.5,1,1.5,2)", "X,X"),
    "top": Option("--top", int, "how many tokens a vector (default: 8)", "K"),
    "against": Option("--against", str, "a prompt of the other kind", "TEXT", repeatable=True),
    "at": Option("--at", ("last", "mean", "max"), "which of a prompt's tokens count (default: mean, of all but the first)"),
}
METRICS = {
    "kl": Metric(
        "core.evaluation.kl",
        "how far vectors move the next word, in nats",
        "KL(steered || unsteered) of the prompt's next token, and KL(vector || base) where there is a base vector.",
        ("base",),
    ),
    "norms": Metric(
        "core.evaluation.norms",
        "the residual stream's norm, and vectors beside it",
        "The residual stream's norm behind each block (the median over all tokens but the first), which share of it a vector "
        "has, and how far a vector moves the stream at its target block and at the last.",
        least_vectors=0,
    ),
    "sweep": Metric(
        "core.evaluation.sweep",
        "the dose: what several coefficients do to the text",
        "What the model says under several multiples of each vector, how far it then is from itself, and between which of them "
        "the text holds.",
        ("coefficients",),
        40,
    ),
    "survey": Metric(
        "core.evaluation.survey",
        "refusals and broken text on many prompts",
        "On how many prompts each vector ends or causes a refusal, breaks the text or changes nothing; and prompt by prompt.",
        tokens=40,
    ),
    "behaviours": Metric(
        "core.evaluation.behaviours",
        "how many different things vectors make the model do",
        "The answers by kind (code, a list, a language, prose ...), and those of them that are unlike each other.",
        tokens=40,
    ),
    "accuracy": Metric(
        "core.evaluation.accuracy",
        "right answers to your questions",
        "How many questions are answered right. The vector that is best on every other question is scored on the rest.",
        tokens=24,
        questions=True,
    ),
    "examples": Metric(
        "core.evaluation.examples",
        "the tokens at which vectors are active the most",
        "The tokens of the prompts, or of any texts (--prompts FILE --raw), whose residual, unsteered, points a vector's way.",
        ("top",),
        controls=32,
    ),
    "presence": Metric(
        "core.evaluation.presence",
        "how much of vectors is in the unsteered model",
        "How far the residual stream points a vector's way on prompts of two kinds, and whether that tells them apart.",
        ("against", "at"),
    ),
}
