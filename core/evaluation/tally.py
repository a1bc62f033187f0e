"""How many completions no longer refuse, how many of those are unbroken, how many of those on topic. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.evaluation.intervals import in_percent
from vectors.completion import Judgement


@dataclass(frozen=True)
class Tally:
    """Counts over `of` completions, each among those of the count before it.

    `answered`: not refusing, nor a thought without an answer; `unbroken`: of these, in intact text; `on_topic`: of these,
    neither deflecting nor off topic. Only the last are what a reader would call compliance (docs/verdicts.md).
    """

    of: int
    answered: int
    unbroken: int
    on_topic: int

    @classmethod
    def over(cls, judgements: Iterable[Judgement]) -> Tally:
        """Counts `judgements`."""
        judged = list(judgements)
        answered = sum(not (one.refuses or one.unanswered) for one in judged)
        return cls(len(judged), answered, sum(one.complies for one in judged), sum(one.fulfils for one in judged))

    def told(self) -> str:
        """All counts in a line, the last with its 95% interval."""
        return f"{self.answered} of {self.of} no longer refuse, {self.unbroken} unbroken, {self.on_topic_told()} on topic"

    def on_topic_told(self) -> str:
        """How many are on topic, with the 95% interval of their share of all."""
        return f"{self.on_topic} ({in_percent(self.on_topic, self.of)})"

    def briefly(self) -> str:
        """All counts in one breath, for a control that stands beside: `0, 0, 0 of 4`."""
        return f"{self.answered}, {self.unbroken}, {self.on_topic} of {self.of}"

    def beside(self, random: Tally, width: int | None = None) -> str:
        """All counts and those of `random` controls, as fully as `width` cells take; a line that is too long loses its interval
        before it loses a count."""
        forms = (
            f"{self.told()}; random: {random.briefly()}",
            f"{self.answered}/{self.of} no longer refuse, {self.unbroken} unbroken, {self.on_topic_told()} on topic; "
            f"random {random._tersely()}",
            f"{self.answered}/{self.of} no longer refuse, {self.unbroken} unbroken, {self.on_topic} on topic; "
            f"random {random._tersely()}",
        )
        return next((one for one in forms if width is None or len(one) <= width), forms[-1])

    def _tersely(self) -> str:
        return f"{self.answered}, {self.unbroken}, {self.on_topic}/{self.of}"
