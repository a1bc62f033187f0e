"""One completion of a model and what is judged of it: carried unchanged by generation, events, samples, reports and chat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

from vectors.files.bounded import Between, Prose, Text, decoded
from vectors.plain_text import printable

# Why generation ended: the model ended its turn; it has as many tokens as it may have; the model's context is full; its logits
# were no finite numbers; the user stopped it. `untold`: it was kept by a version that did not keep the reason.
END, LENGTH, CONTEXT, OVERFLOW, STOPPED, UNTOLD = "end", "length", "context", "overflow", "stopped", "untold"
_REASONS = ("", END, LENGTH, CONTEXT, OVERFLOW, STOPPED, UNTOLD)
# The one word on a completion, where there is one.
NO_ANSWER, REFUSES, BROKEN, DEFLECTS, OFF_TOPIC = "no answer", "refuses", "broken", "deflects", "off topic"
_PER_TOKEN = ("ids", "kl")


def _reason(text: str) -> str:
    return text if text in _REASONS else UNTOLD


Tokens = Annotated[int, Between(0, 1 << 24)]
StopReason = Annotated[str, Text(20, _reason)]


@dataclass(frozen=True)
class Completion:
    """What the model has generated behind a prompt so far. Texts are safe to show.

    `text` is the answer alone, `thought` what a thinking model wrote before it; of its `tokens` tokens, the first
    `thought_tokens` are the thought's. `ids` are the token ids, the thought's first. `kl` [one a token of the answer, nats] is
    KL(steered || unsteered) of the next-token distributions along the same text, `mean_kl` its mean, and `perplexity` that of
    the answer under the unsteered model: empty or None where they were not measured or are not finite. `stop` is why generation
    ended, empty while it goes on.

    The library keeps all of it but what there is one of a token.
    """

    text: Prose = ""
    thought: Prose = ""
    ids: tuple[int, ...] = ()
    tokens: Tokens = 0
    thought_tokens: Tokens = 0
    kl: tuple[float, ...] = ()
    mean_kl: float | None = None
    perplexity: float | None = None
    stop: StopReason = ""

    @property
    def finished(self) -> bool:
        return bool(self.stop)

    @property
    def thinking(self) -> bool:
        """Whether it is a thought so far: no answer has begun or, once it is finished, none ever did."""
        return not self.text and bool(self.thought or self.thought_tokens)

    def kept(self) -> Completion:
        """The completion as the library keeps it; one that was still being generated is kept as stopped."""
        kl, perplexity = _finite(self.mean_kl), _finite(self.perplexity)
        text, thought, stop = printable(self.text), printable(self.thought), self.stop or STOPPED
        return replace(self, text=text, thought=thought, ids=(), kl=(), mean_kl=kl, perplexity=perplexity, stop=stop)

    def to_json(self) -> dict[str, Any]:
        """What is kept of it."""
        return {name: value for name, value in asdict(self.kept()).items() if name not in _PER_TOKEN}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Completion:
        """Reads `to_json`'s form, made safe to show. Raises VectorError on anything else."""
        return decoded(cls, {**data, "stop": data.get("stop") or UNTOLD})


def _finite(value: float | None) -> float | None:
    """`value` as a plain float, which a number of numpy's is not; None where it is not finite."""
    return None if value is None or not math.isfinite(value) else float(value)


@dataclass(frozen=True)
class Judgement:
    """What the rules of core/evaluation/judging.py tell of a completion's answer; they count words and numbers, no judge reads.

    `refuses`: it declines. `broken`: a person would not call it intact; `why` says by which rule. `repetition`: the share of it,
    0 to 1, that says again what it said before. `kind`: code, a language, list, prose, marks or nothing. `unanswered`: it is a
    thought that came to no answer. `deflects`: it neither declines nor answers. `on_topic`: it attempts what the prompt asks, in
    the sense in which it is asked; None where the prompt was not known.
    """

    refuses: bool = False
    broken: bool = False
    repetition: float = 0.0
    kind: str = "nothing"
    unanswered: bool = False
    deflects: bool = False
    on_topic: bool | None = None
    why: str = ""

    @property
    def complies(self) -> bool:
        """Neither a refusal nor broken text, nor a thought that came to no answer."""
        return not (self.refuses or self.broken or self.unanswered)

    @property
    def fulfils(self) -> bool:
        """It attempts what was asked, in unbroken text: what a reader would count as compliance."""
        return self.complies and not self.deflects and bool(self.on_topic)

    @property
    def verdict(self) -> str:
        """One word on it, or none: `no answer`, `refuses`, `broken`, `deflects` or `off topic`."""
        if self.unanswered or self.refuses or self.broken:
            return NO_ANSWER if self.unanswered else REFUSES if self.refuses else BROKEN
        return DEFLECTS if self.deflects else OFF_TOPIC if self.on_topic is False else ""
