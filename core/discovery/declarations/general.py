"""What every method can be told, beside its own settings: the fields of a training run's request (core/engine/requests.py)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import SettingsError
from core.limits import ANSWER_TOKENS, MOST, THOUGHT_TOKENS, check_seed, check_thoughts
from core.segment.objective_tokens import parse_tokens
from core.specs import Declared, Option
from vectors.files.bounded import MAX_BLOCKS
from vectors.plain_text import clean_name

# Trained vectors leave proportion sooner than the random directions that are measured: with Mack's 0.5 they break text.
# At 0.28 most of them act and most of their completions are fluent, on all models that were tried (docs/findings.md).
NONLINEARITY = 0.28

WHERE, HOW, RESULTS = "blocks and radius", "training", "results"

Tokens = Annotated[
    str,
    Option(
        "prompt tokens that the objective sees",
        about="Which of the prompt's tokens the objective sees: last:K or all. The first token's huge activations can "
        "drown the others', so the last ones are the default.",
        metavar="all|last:K",
        check=parse_tokens,
        advanced=True,
        group=WHERE,
    ),
]
Seed = Annotated[
    int,
    Option(
        "of the starting draws and the random controls",
        about="The same seed gives the same vectors again.",
        metavar="N",
        check=check_seed,
        advanced=True,
        group=HOW,
    ),
]
ThoughtTokens = Annotated[
    int,
    Option(
        "the most tokens of a thinking model's thought, before its answer",
        label="Thoughts",
        about="How many tokens a thinking model's thought may have before its answer. One that has not ended by then has no "
        "answer.",
        metavar="N",
        low=1,
        high=MOST["thought_tokens"],
        check=check_thoughts,
        advanced=True,
        group=RESULTS,
    ),
]


def _check_name(text: str) -> None:
    try:
        if text:
            clean_name(text)
    except ValueError as error:
        raise SettingsError(str(error)) from None


# Which of the trained vectors a run keeps.
KEEPS = ALL, UNBROKEN, ON_TOPIC = "all", "unbroken", "on-topic"


@dataclass(frozen=True, kw_only=True)
class General(Declared):
    """`source`, `target` None: a quarter and 0.7 of the depth. `radius` None: calibrated, to a nonlinearity of `ratio`.

    `vectors`, `steps`, `batch` None: as the method does by itself. `init` names a file of raw draws [n, d_model].
    A sample's answer has at most `sample_tokens`, the thought before it at most `thought_tokens`.
    `out` names a file for the vectors beside the library's; one that is there and not this run's is replaced with `force` only.
    """

    source: Annotated[
        int | None,
        Option(
            "block whose output the vector is added to",
            about="The block (layer) whose output the vector is added to, from 0. A quarter of the depth works well.",
            metavar="I",
            default="0.235 of the depth",
            low=0,
            high=MAX_BLOCKS - 1,
            group=WHERE,
        ),
    ] = None
    target: Annotated[
        int | None,
        Option(
            "block whose output is to change",
            about="The block whose output is to change: behind the source block, about 0.7 of the depth.",
            metavar="J",
            default="0.71 of the depth",
            low=0,
            high=MAX_BLOCKS - 1,
            group=WHERE,
        ),
    ] = None
    radius: Annotated[
        float | None,
        Option(
            "the vectors' norm",
            about="The norm R of the vectors. Larger: more effect, then broken text.",
            metavar="auto|R",
            default="auto, calibrated where the method needs one",
            above=0,
            high=1e9,
            group=WHERE,
        ),
    ] = None
    vectors: Annotated[
        int | None,
        Option(
            "how many vectors",
            about="How many to train, each from a random draw of its own.",
            metavar="N",
            default="the method's own number, or all rows of --init",
            low=1,
            high=MOST["vectors"],
            group=HOW,
        ),
    ] = None
    steps: Annotated[
        int | None,
        Option(
            "training steps per vector",
            about="Training steps per vector.",
            metavar="N",
            default="the method's own number",
            low=1,
            high=MOST["steps"],
            group=HOW,
        ),
    ] = None
    tokens: Tokens = "last:6"
    ratio: Annotated[
        float,
        Option(
            "nonlinearity of random directions at which radius auto sets R",
            about="Radius auto picks the R at which the effect of random directions is this far from proportional. Larger: "
            "longer vectors.",
            metavar="X",
            above=0,
            below=1,
            advanced=True,
            group=WHERE,
        ),
    ] = NONLINEARITY
    seed: Seed = 0
    batch: Annotated[
        int | None,
        Option(
            "vectors trained at once",
            about="How many vectors are trained at once. auto: the method's own number; on a GPU 32, families 16.",
            metavar="N",
            default="the method's own; on a GPU 32, families 16",
            aliases=("--block",),
            low=1,
            high=MOST["batch"],
            advanced=True,
            group=HOW,
        ),
    ] = None
    init: Annotated[
        str | None,
        Option(
            "a safetensors file of raw starting draws [n, d_model]",
            label="Draws",
            about="A safetensors file of raw starting draws [n, d_model]; FILE:TENSOR where the tensor is not called vectors. "
            "Empty: Gaussian draws.",
            metavar="FILE[:TENSOR]",
            path=True,
            advanced=True,
            group=HOW,
        ),
    ] = None
    name: Annotated[
        str | None,
        Option(
            "the vectors are called NAME-01, NAME-02 ...",
            label="Names",
            about="The vectors are called NAME-01, NAME-02 ...",
            metavar="NAME",
            default="from the prompt",
            check=_check_name,
            advanced=True,
            group=RESULTS,
        ),
    ] = None
    out: Annotated[
        str | None,
        Option(
            "also write the vectors and their losses to this file",
            label="Copy to",
            about="A .safetensors file that the vectors and their losses are written to, beside the library. Empty: none.",
            metavar="FILE.safetensors",
            path=True,
            advanced=True,
            group=RESULTS,
        ),
    ] = None
    force: Annotated[
        bool,
        Option(
            "replace the file that --out names, where there is one",
            label="Replace",
            about="Whether a file that is there already under that name is replaced.",
            names=("never a file", "the file"),
            advanced=True,
            group=RESULTS,
        ),
    ] = False
    keep: Annotated[
        str,
        Option(
            "which of the trained vectors are kept: by their completions' first 24 tokens, all, those neither refusing nor "
            "broken, or those that do what was asked",
            label="Keep",
            about="By the first 24 tokens of each vector's completion: all vectors, those that neither refuse nor break the "
            "text, or those that do what was asked. 64 vectors of 2 steps each are cheap candidates.",
            choices=KEEPS,
            names=("all", "unbroken", "on topic"),
            advanced=True,
            group=RESULTS,
        ),
    ] = ALL
    sample_tokens: Annotated[
        int,
        Option(
            "the most tokens of a sample's answer, 0 for no samples",
            label="Samples",
            about="How many tokens the answer of a sample may have, under each vector. 0: no samples. Cut before 64, many have "
            "not shown yet whether they do what was asked.",
            metavar="N",
            low=0,
            high=MOST["sample_tokens"],
            advanced=True,
            group=RESULTS,
        ),
    ] = ANSWER_TOKENS
    thought_tokens: ThoughtTokens = THOUGHT_TOKENS
    controls: Annotated[
        int,
        Option(
            "random vectors to compare with",
            label="Random",
            about="How many random vectors of the same norm are sampled beside, to compare with.",
            metavar="N",
            low=0,
            high=MOST["controls"],
            advanced=True,
            group=RESULTS,
        ),
    ] = 4
