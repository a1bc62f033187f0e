"""The largest coefficient of either sign at which every prompt's completion stays below a limit, by bisection.

From 0 outwards the coefficient is doubled until a completion is beyond a limit; the interval that this leaves is halved until
it is a thirtieth of its end. What lies beyond the first coefficient that is too large is not tried: text that is broken at 3 is
of no use at 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.evaluation.condition import Answer, Case, Condition
from core.evaluation.context import Context, Measuring, Step
from core.evaluation.damage import USUAL
from core.evaluation.declarations.dose import Settings
from vectors.completion import NO_ANSWER
from vectors.plain_text import one_line
from vectors.store.reports import Cell, Column, Plot, Report, Table

_COLUMNS = (Column("vector"), Column("sign"), Column("coef", ".3g"), Column("norm", ".3g"), Column("KL", ".2f"),
            Column("damage", ".2f"), Column("stopped by"), Column("completion"))  # fmt: skip
_FIRST, _CLOSE, _LEAST = 0.25, 1 / 30, 1 / 256
_ROUNDS = 12  # that it takes as a rule, for the progress that is shown


@dataclass
class _Search:
    """One condition and sign: it `holds` up to a coefficient, and is beyond a limit at `beyond`, where that is known."""

    condition: Condition
    sign: float
    most: float
    holds: float = 0.0
    beyond: float | None = None
    stopped_by: str = ""
    best: tuple[Answer, ...] = ()  # at `holds`, the one nearest to its limit first

    @property
    def done(self) -> bool:
        if self.beyond is None:
            return self.holds >= self.most
        return self.beyond - self.holds <= max(_CLOSE * self.beyond, _LEAST)

    @property
    def next(self) -> float:
        """The coefficient to try now, without its sign."""
        if self.beyond is None:
            return min(2 * self.holds or _FIRST, self.most)
        return (self.holds + self.beyond) / 2

    def take(self, answers: Sequence[Answer], settings: Settings) -> None:
        """Takes in the completions of all prompts at `next`."""
        tried = self.next
        worst = max(answers, key=lambda answer: excess(answer, settings))
        if excess(worst, settings) > 1:
            self.beyond, self.stopped_by = tried, self._told(worst, settings)
        else:
            self.holds, self.best = tried, (worst, *(answer for answer in answers if answer is not worst))

    def _told(self, answer: Answer, settings: Settings) -> str:
        kl, damage = answer.completion.mean_kl, damage_of(answer)
        if answer.judgement.unanswered:
            return f"{NO_ANSWER} at {self.sign * self.next:.3g}"
        over = []
        if settings.most_kl is not None and (kl is None or kl > settings.most_kl):
            over.append("KL" if kl is None else f"KL {kl:.2f}")
        if settings.damage_limit is not None and damage > settings.damage_limit:
            over.append(f"damage {damage:.2f}")
        return f"{' and '.join(over)} at {self.sign * self.next:.3g}"

    def row(self) -> tuple[Cell, ...]:
        answer = self.best[0] if self.best else None
        kl = max((one.completion.mean_kl for one in self.best if one.completion.mean_kl is not None), default=None)
        damage = max((damage_of(one) for one in self.best), default=None)
        whole = self.condition.norm
        norm = None if whole is None else self.holds * whole
        stopped_by = self.stopped_by or (f"nothing up to {self.most:g}" if self.done else "")
        text = answer.text if answer is not None else ""
        sign = "+" if self.sign > 0 else "-"
        return (self.condition.name, sign, self.sign * self.holds + 0.0, norm, kl, damage, stopped_by, text)


def damage_of(answer: Answer) -> float:
    """How near a completion is to broken text; 1 is broken. Where there is nothing to measure it is beyond every limit: the
    logits overflowed, or a thought came to no answer."""
    if answer.completion.perplexity is None:
        return float("inf")
    return USUAL.damage(answer.judgement.repetition, answer.completion.perplexity)


def excess(answer: Answer, settings: Settings) -> float:
    """The completion's KL or damage as a share of its limit, whichever is more; above 1 it is beyond a limit."""
    shares = [0.0]
    if settings.most_kl is not None:
        kl = answer.completion.mean_kl
        shares.append(float("inf") if kl is None else kl / settings.most_kl)
    if settings.damage_limit is not None:
        shares.append(damage_of(answer) / settings.damage_limit)
    return max(shares)


def measure(context: Context) -> Measuring:
    settings: Settings = context.settings
    conditions = [*context.named, *context.random]
    prompts = range(len(context.prompts))
    searches = [_Search(one, sign, settings.most_coefficient) for one in conditions for sign in (1.0, -1.0)]

    def report() -> Report:
        rows = tuple(search.row() for search in searches)
        return Report("dose", (Table("The largest coefficients", _COLUMNS, rows, (Plot("coef"),)),), tuple(_findings(searches)))

    done = 0
    while left := [search for search in searches if not search.done]:
        cases = [Case(s.condition, prompt, s.sign * s.next) for s in left for prompt in prompts]
        answers: dict[int, Answer] = {}
        for tokens in context.generate(cases, answers):
            yield Step(done + tokens / (context.tokens * len(cases)), max(_ROUNDS, done + 1), report)
        for i, search in enumerate(left):
            search.take([answers[i * len(prompts) + prompt] for prompt in prompts], settings)
        done += 1
    yield Step(done, done, report)


def _findings(searches: Sequence[_Search]) -> list[str]:
    found = []
    for up, down in zip(searches[::2], searches[1::2], strict=True):
        if not up.condition.random and up.done and down.done:
            ends = [f"{one.stopped_by}" for one in (down, up) if one.stopped_by]
            stopped = f"; stopped by {one_line(', '.join(ends), 120)}" if ends else ""
            found.append(f"{up.condition.name}: below the limit from {0.0 - down.holds:.3g} to {up.holds:.3g}{stopped}.")
    return found
