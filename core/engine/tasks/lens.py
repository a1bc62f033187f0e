"""Reads a vector, of many blocks its last direction, through the unembedding, for whoever looks at it."""

from __future__ import annotations

import torch

from core.engine.events import LensRead
from core.engine.requests import ReadLens
from core.engine.session import Emit, Session, Task
from core.errors import SettingsError
from core.evaluation.logit_lens import logit_lens
from vectors.plain_text import one_line


def run(session: Session, request: ReadLens, task: int, emit: Emit) -> Task:
    model, vector = session.model, request.vector
    if vector.d_model != model.d_model:
        raise SettingsError(f"{vector.name} has width {vector.d_model}, {model.stamp.name} {model.d_model}")
    raised, lowered = (
        tuple((one_line(text) or repr(text), value) for text, value in tokens)
        for tokens in logit_lens(model, torch.tensor(vector.at(vector.blocks[-1])))
    )
    emit(LensRead(task, vector.id, raised, lowered))
    yield
