"""Tells how a prompt looks to the model, for the form that is being filled in."""

from __future__ import annotations

from core.engine.events import PromptMeasured
from core.engine.requests import MeasurePrompt
from core.engine.session import Emit, Session, Task
from core.model.prompts import prompt_ids
from vectors.plain_text import one_line


def run(session: Session, request: MeasurePrompt, task: int, emit: Emit) -> Task:
    model = session.model
    ids = prompt_ids(model, request.prompt)
    last = model.token_texts(ids[-6:]) if model.has_tokenizer else []
    emit(PromptMeasured(task, request.prompt.shown(), len(ids), tuple(one_line(text) or "⏎" for text in last)))
    yield
