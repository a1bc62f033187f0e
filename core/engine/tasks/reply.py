"""Completions under steering, streamed: a chat reply, samples of a vector, a fan of vectors on one prompt."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence

from core.engine.events import Said, Warned
from core.engine.requests import Reply, ReplyRow
from core.engine.session import Emit, Session, Task
from core.evaluation.damage import is_broken, repetition
from core.evaluation.refusal import refuses
from core.memory.halving import halved
from core.model.language_model import LanguageModel
from core.model.prompts import chat_ids, fitting
from core.steering.generation import Completion, Row, Sampling, generate
from core.steering.terms import check_fits
from vectors.store.curation import Sample


def run(session: Session, request: Reply, task: int, emit: Emit) -> Task:
    model = session.model
    rows = []
    for asked in request.rows:
        for warning in check_fits(asked.steering, model.stamp):
            emit(Warned(task, warning))
        sampling = Sampling(asked.temperature, asked.top_p, asked.max_new_tokens, asked.seed, asked.thought_tokens)
        rows.append(Row(asked.key, _ids(model, asked), asked.steering, sampling, watched=True))
    yield from speak(model, rows, task, emit)


def _ids(model: LanguageModel, row: ReplyRow) -> tuple[int, ...]:
    """Token ids of the conversation that the model is to answer."""
    if row.ids:
        return fitting(model, row.ids)
    if row.raw:
        return fitting(model, model.encode(row.messages[-1][1]), row.messages[-1][1])
    return chat_ids(model, row.messages, row.template)


def speak(model: LanguageModel, rows: Sequence[Row], task: int, emit: Emit) -> Generator[None, None, dict[str, Said]]:
    """Generates `rows`, emitting `Said` after every token; returns the last one of each row. What cut a completion short is
    told, once for all that it did."""
    began = time.monotonic()
    said: dict[str, Said] = {}
    told: set[str] = set()
    for completions in generate(model, rows, lambda fewer: emit(Warned(task, halved(fewer)))):
        for completion in completions:
            said[completion.key] = event = _said(task, completion, time.monotonic() - began)
            emit(event)
            if completion.warning and completion.warning not in told:
                told.add(completion.warning)
                emit(Warned(task, completion.warning))
        yield
    return said


def restored(task: int, key: str, sample: Sample) -> Said:
    """The event for a completion that the library keeps, with the KL and perplexity that were measured when it was made."""
    text = sample.text
    return Said(
        task, key, text, 0, True, (), sample.perplexity, repetition(text), refuses(text), is_broken(text, sample.perplexity),
        thought=sample.thought, thinking=bool(sample.thought and not text), kept_kl=sample.kl,
    )  # fmt: skip


def _said(task: int, completion: Completion, seconds: float) -> Said:
    text, tokens = completion.answer, len(completion.ids)
    return Said(
        task,
        completion.key,
        text,
        tokens,
        completion.finished,
        completion.kl,
        completion.perplexity,
        repetition(text),
        refuses(text),
        is_broken(text, completion.perplexity) or completion.overflows,
        tokens / seconds if seconds > 0 else None,
        completion.thought,
        completion.thought_tokens,
        completion.thinking,
    )
