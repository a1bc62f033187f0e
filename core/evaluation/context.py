"""What metrics work with: the model, prompts, the conditions to compare, and ways to read activations and completions."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from typing import Any

import torch
from torch import Tensor

from core.errors import ModelError, SettingsError
from core.evaluation.association import settled
from core.evaluation.completing import generate_in_batches
from core.evaluation.condition import RANDOM, UNSTEERED, Answer, Case, Condition
from core.evaluation.controls import controls
from core.evaluation.judging import judge
from core.limits import THOUGHT_TOKENS
from core.memory.halving import RowsAtOnce, halved
from core.model.float32_arithmetic import float32_arithmetic
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.steering.generation import Row, Sampling, cut_short
from core.steering.hooks import RowSteering, recorded
from core.steering.terms import Steering, SteerTerm, expression_of
from vectors.plain_text import one_line
from vectors.store.reports import Column, Report, Table
from vectors.vector import Direction, SteeringVector

AT_ONCE = 16  # conditions in a forward
_LONGEST_NAME = 80


@dataclass(frozen=True)
class Step:
    """How far a metric has come, in units of its own, and what it can report by now."""

    done: float
    total: float
    report: Callable[[], Report]


# A metric's `measure`: yields between its steps, at points where it may be closed; the last step's report is whole.
Measuring = Iterator[Step]


@dataclass
class Context:
    """What an evaluation works with: `prompts` with their `ids`, one list of token ids a prompt, and the right `solutions` of
    those that are questions; `steerings` are what is compared;
    `base` is the vector that others are compared with; `settings` are the metric's own options."""

    model: LanguageModel
    steerings: Sequence[Steering]
    prompts: Sequence[Prompt]
    ids: Sequence[tuple[int, ...]]
    n_controls: int = 4
    tokens: int = 40
    seed: int = 0
    settings: Any = None
    solutions: Sequence[tuple[str, ...]] = ()
    base: SteeringVector | None = None
    thought_tokens: int = THOUGHT_TOKENS

    def __post_init__(self) -> None:
        self.warnings: list[str] = []  # what cut completions short, or made batches smaller, each once
        self._at_once = RowsAtOnce(AT_ONCE, self._halved, self.model.fixed_shapes.clear)

    def _halved(self, rows: int) -> None:
        self.warn(halved(rows))

    def warn(self, warning: str) -> None:
        """Tells of `warning`, once."""
        if warning and warning not in self.warnings:
            self.warnings.append(warning)

    @cached_property
    def named(self) -> list[Condition]:
        """What is compared, called as it is written; no two are called the same."""
        found: list[Condition] = []
        taken = {UNSTEERED, RANDOM, *(f"{RANDOM} {i + 1}" for i in range(self.n_controls))}
        for steering in self.steerings:
            name = called = _called(steering)
            for again in count(2):
                if name not in taken:
                    break
                name = f"{called} ({again})"
            taken.add(name)
            found.append(Condition(name, steering))
        return found

    @cached_property
    def random(self) -> list[Condition]:
        """Random vectors that do what the conditions' vectors do, at the median norm of those that act in the same way."""
        return controls(self.named, self.n_controls, self.seed, self.model.stamp)

    def readings(self, condition: Condition) -> dict[int, Direction]:
        """The direction [d_model] along which `condition` has the residual stream read, at each block where it acts.

        Raises SettingsError where it has several at a block: no one number is the stream's component along them.
        """
        found: dict[int, Direction] = {}
        for part in condition.parts:
            for block, direction in part.readings(len(self.model.blocks)).items():
                if block in found:
                    raise SettingsError(
                        f"{condition.name} has several directions at block {block}, and the residual stream is read along one",
                        "name each in an expression of its own; vectors that are added on the same tokens are one, their sum",
                    )
                found[block] = direction
        return dict(sorted(found.items()))

    @cached_property
    def conditions(self) -> list[Condition]:
        """Unsteered, under random vectors, then under the vectors: as reports list them."""
        return [Condition(UNSTEERED), *self.random, *self.named]

    @cached_property
    def cases(self) -> list[Case]:
        """Every prompt under every condition."""
        return [Case(condition, prompt) for prompt in range(len(self.prompts)) for condition in self.conditions]

    def by_condition(self, answers: Sequence[Answer]) -> dict[str, dict[int, Answer]]:
        """`answers` by the condition's name, then by prompt; each condition is there, those that have no answer yet empty."""
        found: dict[str, dict[int, Answer]] = {condition.name: {} for condition in self.conditions}
        for answer in answers:
            found[answer.case.condition.name][answer.case.prompt] = answer
        return found

    def next_token(self, prompt: int, conditions: Sequence[Condition]) -> Tensor:
        """Logits [n, vocab], on the CPU, of the token behind the prompt under each of `conditions`."""
        ids = self.ids[prompt]

        def logits(rows: slice) -> Tensor:
            some = conditions[rows]
            steering = RowSteering(self.model, [condition.steering() for condition in some], len(ids)).applied()
            with steering, float32_arithmetic(self.model):
                return self.model.forward(self.model.ids_tensor(ids, len(some)))[0].cpu()

        return torch.cat(self._at_once.run(len(conditions), logits))

    @torch.no_grad()
    def residuals(self, prompt: int, blocks: Sequence[int], conditions: Sequence[Condition]) -> dict[int, Tensor]:
        """The output [n, tokens, d_model] of each of `blocks`, float32 on the CPU, under each of `conditions`."""
        ids = self.ids[prompt]

        def outputs(rows: slice) -> dict[int, Tensor]:
            some = conditions[rows]
            with (
                RowSteering(self.model, [condition.steering() for condition in some], len(ids)).applied(),
                ExitStack() as stack,
            ):
                stack.enter_context(float32_arithmetic(self.model))
                seen = {block: stack.enter_context(recorded(self.model.blocks[block])) for block in blocks}
                self.model.run_blocks(self.model.ids_tensor(ids, len(some)), max(blocks))
            return {block: seen[block][0].float().cpu() for block in blocks}

        parts = self._at_once.run(len(conditions), outputs)
        return {block: torch.cat([part[block] for part in parts]) for block in blocks}

    def complete(self, cases: Sequence[Case], report: Callable[[list[Answer]], Report], referenced: bool = True) -> Measuring:
        """Generates the completions of `cases`. `report` is given the answers that are finished, in the order of `cases`."""
        answers: dict[int, Answer] = {}
        for done in self.generate(cases, answers, referenced):
            yield Step(done, self.tokens * len(cases), lambda: report([answers[place] for place in sorted(answers)]))

    def generate(self, cases: Sequence[Case], answers: dict[int, Answer], referenced: bool = True) -> Iterator[int]:
        """Generates the completions of `cases`, and puts those that are finished into `answers`, by the places of their cases.
        Yields, as it goes, how many tokens are done, of `tokens` a case.

        Not `referenced` to the unsteered model, they have neither KL nor perplexity, and take half the time.
        """
        if not self.model.has_tokenizer:
            raise ModelError("this model has no tokenizer, so its completions cannot be read")
        sampling = Sampling(max_new_tokens=self.tokens, thought_tokens=self.thought_tokens)
        rows = [
            Row(str(i), self.ids[case.prompt], case.condition.steering(case.coefficient), sampling, referenced)
            for i, case in enumerate(cases)
        ]
        spent = [0] * len(rows)
        for batch in generate_in_batches(self.model, rows, self._halved):
            for key, completion in batch.items():
                self.warn(cut_short(self.model, completion))
                place = int(key)
                spent[place] = self.tokens if completion.finished else min(completion.tokens, self.tokens)
                if completion.finished:
                    asked = self.prompts[cases[place].prompt].message
                    judged = settled(self.model, asked, completion, judge(completion, asked))
                    answers[place] = Answer(cases[place], completion, judged)
            yield sum(spent)

    def listing(
        self, answers: Sequence[Answer], mark: Callable[[Answer], str] = lambda answer: answer.judgement.verdict
    ) -> Table:
        """All completions, for whoever wants to read them; `mark` says of an answer what to look at."""
        columns = (Column("vector"), Column("coef", "g"), Column("prompt"), Column(""), Column("completion"))
        rows = tuple(
            (answer.case.condition.name, answer.case.coefficient if answer.case.condition.terms else None,
             self.prompts[answer.case.prompt].shown(), mark(answer), answer.text)
            for answer in answers
        )  # fmt: skip
        return Table("All completions", columns, rows)


def _called(steering: Steering) -> str:
    """A vector that is added as it is by its name, its coefficient behind it; whatever else, as an expression writes it."""
    (term, *others) = steering
    if others or replace(term, coefficient=1.0) != SteerTerm(term.vector):
        return one_line(str(expression_of(steering)), _LONGEST_NAME)
    name = term.vector.name or term.vector.id or "vector"
    return name if term.coefficient == 1 else f"{name} x {term.coefficient:g}"


def share(flags: Sequence[bool]) -> float | None:
    """Which part of `flags` holds; None for none."""
    return sum(flags) / len(flags) if flags else None


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
