"""Completions under steering, streamed: a reply in a conversation, samples of a vector, many vectors on one prompt."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence

from core.engine.events import Generated, Warned
from core.engine.requests import Reply, ReplyRow
from core.engine.session import Emit, Session, Task
from core.memory.halving import halved
from core.model.language_model import LanguageModel
from core.model.prompts import chat_ids, fitting
from core.steering.generation import Row, Sampling, cut_short, generate
from core.steering.terms import check_fits
from vectors.completion import Completion


def run(session: Session, request: Reply, task: int, emit: Emit) -> Task:
    model = session.model
    rows = []
    for asked in request.rows:
        for warning in check_fits(asked.steering, model.stamp):
            emit(Warned(task, warning))
        sampling = Sampling(asked.temperature, asked.top_p, asked.max_new_tokens, asked.seed, asked.thought_tokens)
        rows.append(Row(asked.key, _ids(model, asked), asked.steering, sampling, referenced=True))
    # What a later message asks is told by the turns before it, so words cannot tell whether its answer is on topic.
    prompts = {asked.key: asked.only_message for asked in request.rows}
    yield from generated(model, rows, task, emit, prompts)


def _ids(model: LanguageModel, row: ReplyRow) -> tuple[int, ...]:
    """Token ids of the conversation that the model is to answer."""
    if row.ids:
        return fitting(model, row.ids)
    if row.raw:
        return fitting(model, model.encode(row.messages[-1][1]), row.messages[-1][1])
    return chat_ids(model, row.messages, row.template)


def generated(
    model: LanguageModel, rows: Sequence[Row], task: int, emit: Emit, prompts: Mapping[str, str | None]
) -> Generator[None, None, dict[str, Completion]]:
    """Generates `rows`, emitting `Generated` after every token; returns the last completion of each row.

    `prompts` are the user's messages by the rows' keys. What cuts completions short is told once for all of them.
    """
    began = time.monotonic()
    last: dict[str, Completion] = {}
    told = {""}
    for completions in generate(model, rows, lambda fewer: emit(Warned(task, halved(fewer)))):
        last |= completions
        seconds = time.monotonic() - began
        for key, completion in completions.items():
            rate = completion.tokens / seconds if seconds > 0 else None
            emit(Generated(task, key, completion, rate, prompts.get(key)))
            if (warning := cut_short(model, completion)) not in told:
                told.add(warning)
                emit(Warned(task, warning))
        yield
    return last
