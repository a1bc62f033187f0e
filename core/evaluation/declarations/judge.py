"""What metrics that read completions can be told of a judge of the user's own, which reads them beside the marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.specs import Declared, Option


@dataclass(frozen=True)
class WithJudge(Declared):
    """`judge` None: nobody is asked."""

    judge: Annotated[
        str | None,
        Option(
            "a judge of your own, whose verdicts stand beside the marks: a command, an http(s) address, a model's folder",
            label="Judge",
            about="Who reads the completions beside the marks: a command that is told JSON lines, the http(s) address of an "
            "endpoint (http://localhost:8000/v1#MODEL), a chat model's folder or hub id. See docs/verdicts.md.",
            metavar="WHAT",
            advanced=True,
        ),
    ] = None
    judge_model: Annotated[
        str | None,
        Option(
            "the model of an endpoint",
            label="Its model",
            about="The judge's model at an endpoint.",
            metavar="NAME",
            advanced=True,
        ),
    ] = None
