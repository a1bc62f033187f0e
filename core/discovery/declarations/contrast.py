"""What a contrast of two sets of prompts can be told; core/discovery/contrast.py runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.discovery.method import Method, Stepping
from core.errors import SettingsError
from core.specs import Option

_NEEDS = "a contrast needs positive and negative prompts"


@dataclass(frozen=True)
class Settings(Stepping):
    """`positive`, `negative`: the prompts. `position`: from the end, 1 the last token; with `select`, up to `positions`."""

    positive: Annotated[
        tuple[str, ...],
        Option(
            "a prompt that should show the feature",
            about="Prompts that show what the vector should stand for: for a refusal direction, harmful ones.",
            required=_NEEDS,
        ),
    ] = ()
    negative: Annotated[
        tuple[str, ...],
        Option(
            "a prompt that should not",
            about="Prompts that do not show it, as like the others as can be.",
            required=_NEEDS,
        ),
    ] = ()
    position: Annotated[
        int,
        Option(
            "the token to take, counted from the prompt's end: 1 is the last",
            about="At which token the two sets are compared, counted from the prompt's end: 1 is the last.",
            metavar="K",
            low=1,
            when=("select", (False,)),
            advanced=True,
        ),
    ] = 1
    select: Annotated[
        bool,
        Option(
            "choose block and position by ablation and addition on held-out prompts",
            label="Place",
            about="Chosen by trying: every early block and the last tokens, by what ablating and adding do to held-out "
            "prompts.",
            names=("source block, one token", "chosen by trying"),
        ),
    ] = False
    positions: Annotated[
        int,
        Option(
            "how many last positions --select tries",
            about="How many of the prompts' last tokens are tried at every block.",
            metavar="K",
            low=1,
            when=("select", (True,)),
            advanced=True,
        ),
    ] = 3
    source: int = 0
    batch: int = 16

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.positive or not self.negative:
            raise SettingsError(_NEEDS, "give --positive and --negative, or their files")
        if self.select and min(len(self.positive), len(self.negative)) < 2:
            raise SettingsError("to select a direction, some prompts are held out", "give two or more of each kind")


METHOD = Method(
    "A contrast is the mean activation on positive prompts minus that on negative ones, as the refusal direction is.",
    Settings,
    "core.discovery.contrast",
    needs_radius=False,
    vectors=1,
    searches=False,
)
