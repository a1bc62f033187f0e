"""What metrics work with: the model, vectors beside random ones and nothing, prompts, and ways to look and to listen."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import Any

import torch
from torch import Tensor

from core.errors import ModelError
from core.evaluation.controls import controls
from core.evaluation.damage import is_broken
from core.evaluation.fluency import hear_rows
from core.evaluation.refusal import refuses
from core.limits import THOUGHT_TOKENS
from core.memory.halving import RowsAtOnce, halved
from core.model.float32_arithmetic import float32_arithmetic
from core.model.language_model import LanguageModel
from core.prompt import Prompt
from core.steering.generation import Completion, Row, Sampling
from core.steering.hooks import RowSteering, recorded
from core.steering.terms import Steering, SteerTerm
from vectors.store.reports import Column, Report, Table
from vectors.vector import Origin, SteeringVector

AT_ONCE = 16  # subjects in a forward
RANDOM, UNSTEERED = "random", "unsteered"
NO_ANSWER = "no answer"


@dataclass(frozen=True)
class Subject:
    """Who is looked at: a vector at work, a random one beside it, or the model as it is, with no vector."""

    name: str
    term: SteerTerm | None = None
    random: bool = False

    def steering(self, times: float = 1.0) -> Steering:
        return () if self.term is None else (SteerTerm(self.term.vector, times * self.term.coefficient),)

    @property
    def norm(self) -> float | None:
        """That of what is added."""
        return None if self.term is None else abs(self.term.coefficient) * self.term.vector.norm


@dataclass(frozen=True)
class Answer:
    """An answer, without the thought before it. `kl` (to the unsteered model on the same words, nats a token) and `perplexity`
    (of the words under it) are None for the unsteered model itself; `missing`: the thought never came to an answer."""

    text: str
    refuses: bool
    broken: bool
    kl: float | None
    perplexity: float | None
    missing: bool = False

    @property
    def verdict(self) -> str:
        return NO_ANSWER if self.missing else "refuses" if self.refuses else "broken" if self.broken else ""

    @classmethod
    def of(cls, said: Completion) -> Answer:
        kl = sum(said.kl) / len(said.kl) if said.kl else None
        judged = refuses(said.answer), is_broken(said.answer, said.perplexity) or said.overflows
        return cls(said.answer, *judged, kl, said.perplexity, said.thinking)


@dataclass(frozen=True)
class Step:
    """How far a metric has come, in units of its own, and what it can report by now."""

    done: float
    total: float
    report: Callable[[], Report]


# A metric's `measure`: yields between its steps, at points where it may be closed; the last step's report is whole.
Measuring = Iterator[Step]


@dataclass(frozen=True)
class Speech:
    """One answer to make: who gives it, at how many times its coefficient, and to which of the bench's prompts."""

    subject: Subject
    prompt: int
    times: float = 1.0


@dataclass
class Bench:
    """`prompts` with their `ids`, one list of token ids a prompt; `base` is the vector that others are compared with,
    `settings` are the metric's own, as its declaration has them."""

    model: LanguageModel
    vectors: Sequence[SteerTerm]
    prompts: Sequence[Prompt]
    ids: Sequence[tuple[int, ...]]
    n_controls: int = 4
    tokens: int = 40
    seed: int = 0
    settings: Any = None
    answers: Sequence[tuple[str, ...]] = ()
    base: SteeringVector | None = None
    thought_tokens: int = THOUGHT_TOKENS

    def __post_init__(self) -> None:
        self.warnings: list[str] = []  # what cut completions short, or made batches smaller, each once
        self._at_once = RowsAtOnce(AT_ONCE, self._halved, self.model.fixed_shapes.clear)

    def _halved(self, rows: int) -> None:
        if halved(rows) not in self.warnings:
            self.warnings.append(halved(rows))

    @cached_property
    def named(self) -> list[Subject]:
        """The vectors, by name, with the coefficient where it is not 1; no two are called the same."""
        found: list[Subject] = []
        taken = {UNSTEERED, RANDOM, *(f"{RANDOM} {i + 1}" for i in range(self.n_controls))}
        for term in self.vectors:
            name = called = _called(term)
            for again in count(2):
                if name not in taken:
                    break
                name = f"{called} ({again})"
            taken.add(name)
            found.append(Subject(name, term))
        return found

    @cached_property
    def blocks(self) -> list[int]:
        """Where the vectors act."""
        return sorted({term.vector.block for term in self.vectors})

    @cached_property
    def random(self) -> list[Subject]:
        """Random vectors, for each block at the median norm of the vectors that act there."""
        found = []
        for block in self.blocks:
            norm = statistics.median(subject.norm or 0.0 for subject in self.named if _block(subject) == block)
            place = f" block {block}" if len(self.blocks) > 1 else ""
            for vector in controls(self.n_controls, norm, block, self.seed, Origin(RANDOM, self.model.stamp, block)):
                found.append(Subject(f"{vector.name}{place}", SteerTerm(vector), random=True))
        return found

    @cached_property
    def subjects(self) -> list[Subject]:
        """The unsteered model, random vectors, then the vectors: as reports list them."""
        return [Subject(UNSTEERED), *self.random, *self.named]

    @cached_property
    def whole(self) -> list[Speech]:
        """Everybody's answer to every prompt."""
        return [Speech(subject, prompt) for prompt in range(len(self.prompts)) for subject in self.subjects]

    def by_subject(self, answers: Sequence[Answer | None]) -> dict[str, dict[int, Answer]]:
        """The answers to `whole`, by subject's name, then by prompt; those that are not there yet left out."""
        found: dict[str, dict[int, Answer]] = {subject.name: {} for subject in self.subjects}
        for speech, answer in zip(self.whole, answers, strict=True):
            if answer is not None:
                found[speech.subject.name][speech.prompt] = answer
        return found

    def next_token(self, prompt: int, subjects: Sequence[Subject]) -> Tensor:
        """Logits [n, vocab], on the CPU, of the token behind the prompt under each of `subjects`."""
        ids = self.ids[prompt]

        def logits(rows: slice) -> Tensor:
            some = subjects[rows]
            steering = RowSteering(self.model, [subject.steering() for subject in some], len(ids)).applied()
            with steering, float32_arithmetic(self.model):
                return self.model.forward(self.model.ids_tensor(ids, len(some)))[0].cpu()

        return torch.cat(self._at_once.run(len(subjects), logits))

    @torch.no_grad()
    def residuals(self, prompt: int, blocks: Sequence[int], subjects: Sequence[Subject]) -> dict[int, Tensor]:
        """The output [n, tokens, d_model] of each of `blocks`, float32 on the CPU, under each of `subjects`."""
        ids = self.ids[prompt]

        def outputs(rows: slice) -> dict[int, Tensor]:
            some = subjects[rows]
            with RowSteering(self.model, [subject.steering() for subject in some], len(ids)).applied(), ExitStack() as stack:
                stack.enter_context(float32_arithmetic(self.model))
                seen = {block: stack.enter_context(recorded(self.model.blocks[block])) for block in blocks}
                self.model.run_blocks(self.model.ids_tensor(ids, len(some)), max(blocks))
            return {block: seen[block][0].float().cpu() for block in blocks}

        parts = self._at_once.run(len(subjects), outputs)
        return {block: torch.cat([part[block] for part in parts]) for block in blocks}

    def hear(
        self, speeches: Sequence[Speech], report: Callable[[list[Answer | None]], Report], watched: bool = True
    ) -> Measuring:
        """Lets all of `speeches` be held. `report` is given the answers in their order, None where one is not whole.

        Not `watched`, they have neither KL nor perplexity, and take half the time.
        """
        if not self.model.has_tokenizer:
            raise ModelError("this model has no tokenizer, so what it says cannot be read")
        sampling = Sampling(max_new_tokens=self.tokens, thought_tokens=self.thought_tokens)
        rows = [
            Row(str(i), self.ids[one.prompt], one.subject.steering(one.times), sampling, watched=watched)
            for i, one in enumerate(speeches)
        ]
        answers: list[Answer | None] = [None] * len(rows)
        spent = [0] * len(rows)
        for batch in hear_rows(self.model, rows, self._halved):
            for completion in batch:
                if completion.warning and completion.warning not in self.warnings:
                    self.warnings.append(completion.warning)
                place = int(completion.key)
                spent[place] = self.tokens if completion.finished else min(len(completion.ids), self.tokens)
                if completion.finished:
                    answers[place] = Answer.of(completion)
            yield Step(sum(spent), self.tokens * len(rows), lambda: report(answers))

    def every(
        self,
        speeches: Sequence[Speech],
        answers: Sequence[Answer | None],
        mark: Callable[[Speech, Answer], str] = lambda speech, answer: answer.verdict,
    ) -> Table:
        """Whatever was said, for whoever wants to read it; `mark` says of an answer what to look at."""
        columns = (Column("vector"), Column("times", "g"), Column("prompt"), Column(""), Column("what the model says"))
        rows = tuple(
            (speech.subject.name, speech.times if speech.subject.term else None, self.prompts[speech.prompt].shown(),
             mark(speech, answer), answer.text)
            for speech, answer in zip(speeches, answers, strict=True) if answer is not None
        )  # fmt: skip
        return Table("All answers", columns, rows)


def _called(term: SteerTerm) -> str:
    name = term.vector.name or term.vector.id or "vector"
    return name if term.coefficient == 1 else f"{name} x {term.coefficient:g}"


def _block(subject: Subject) -> int | None:
    return None if subject.term is None else subject.term.vector.block


def share(flags: Sequence[bool]) -> float | None:
    """Which part of `flags` holds; None for none."""
    return sum(flags) / len(flags) if flags else None


def mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None
