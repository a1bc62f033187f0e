"""What metrics that read completions can be told of a judge of the user's own, which reads them beside the marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from core.errors import MelboError, SettingsError
from core.evaluation.judges import described, judge_of
from core.evaluation.judges.judge import Wanted
from core.specs import Declared, Option

NOBODY = "none"


def told_judge(what: str) -> str:
    """The kind of judge that `what` is, and its name, safe to show; nothing for nobody. Raises SettingsError where there can
    be no such judge, whatever the model that an endpoint is asked for.
    """
    if what.strip() in ("", NOBODY):
        return ""
    wanted = Wanted(what.strip())
    try:
        return described(wanted)
    except SettingsError as error:
        try:
            judge_of(Wanted(wanted.what, "any"))
        except MelboError:
            raise error from None
        return ""  # the model is a setting of its own
    except MelboError as error:
        raise SettingsError(str(error), error.remedy) from None


@dataclass(frozen=True)
class WithJudge(Declared):
    """`judge` None, or NOBODY: nobody is asked."""

    judge: Annotated[
        str | None,
        Option(
            "a judge of your own, whose verdicts stand beside the marks: a command, an http(s) address, a model's folder; "
            "none: no judge",
            label="Judge",
            about="Who reads the completions beside the marks: a command that is told JSON lines, the http(s) address of an "
            "endpoint (http://localhost:8000/v1#MODEL), a chat model's folder or hub id; empty: nobody. See docs/verdicts.md.",
            metavar="WHAT",
            default="that of the app's settings",
            told=told_judge,
        ),
    ] = None
    judge_model: Annotated[
        str | None,
        Option(
            "the model of an endpoint",
            label="Its model",
            about="The judge's model, where it is an endpoint whose address names none.",
            metavar="NAME",
            advanced=True,
        ),
    ] = None
    judge_timeout: Annotated[
        float,
        Option(
            "the longest that a judge's answer may take, in seconds",
            label="Its patience",
            about="How many seconds an answer of the judge may take before the others are left unjudged.",
            metavar="S",
            above=0,
            high=86400,
            advanced=True,
        ),
    ] = Wanted.seconds

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wanted is not None:
            judge_of(self.wanted)  # what there cannot be is told before a model takes its seconds to load
        elif self.judge_model is not None or self.judge_timeout != Wanted.seconds:
            raise SettingsError("--judge-model and --judge-timeout are about a judge", "name it by --judge")

    @property
    def wanted(self) -> Wanted | None:
        """The judge that is asked, if any."""
        if self.judge is None or self.judge.strip() == NOBODY:
            return None
        return Wanted(self.judge, self.judge_model, self.judge_timeout)
