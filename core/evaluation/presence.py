"""How much of vectors is in the unsteered model's own residual stream, on prompts of two kinds, and if it tells them apart.

Presence is the activity of core/evaluation/examples.py, of one token of a prompt or over several, at each block where a vector
acts, for a direction may tell them apart at one block and not at the next; 0.5 under `AUC` (the
area under the ROC curve) is chance, 1 and 0 are certainty.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from core.evaluation.context import Context, Measuring, Step
from core.evaluation.examples import activity, centred, where_they_differ
from core.evaluation.reading import Along, Reading
from core.model.prompts import prompt_ids
from core.prompt import Prompt
from vectors.store.reports import Cell, Column, Report, Table
from vectors.vector import Direction

_COLUMNS = (Column("presence", "+.3f"), Column("in the others", "+.3f"), Column("AUC", ".2f"))


def measure(context: Context) -> Measuring:
    at = context.settings.at
    like = context.prompts[0]
    others = [Prompt(text, (), like.system, like.raw, like.template) for text in context.settings.against]
    own = len(context.prompts)
    ids = [*context.ids, *(prompt_ids(context.model, prompt) for prompt in others)]
    conditions = [*context.named, *context.random]
    along = Along(context, conditions)
    reading = Reading(context.model, ids, along.blocks, where_they_differ(ids))

    def report() -> Report:
        columns = _COLUMNS if others else _COLUMNS[:1]
        rows: list[tuple[Cell, ...]] = []
        streams = {block: centred(seen) for block, seen in reading.seen.items()}
        for condition in conditions:
            for block, direction in along.of(condition):
                texts = streams[block]
                first, second = (_of_texts(some, direction, at) for some in (texts[:own], texts[own:]))
                figures = (_mean(first), _mean(second), told_apart(first, second))
                rows.append((*along.called(condition, block), *figures[: len(columns)]))
        shown = {"last": "at the last token", "mean": "in the mean over tokens", "max": "at the most active token"}[at]
        table = Table(f"Cosine with the residual stream, {shown}", (*along.columns, *columns), tuple(rows))
        return Report("presence", (table,))

    for done in reading.read():
        yield Step(done, len(ids), report)


def told_apart(first: Tensor, second: Tensor) -> float | None:
    """The chance that one of `first` [n] lies above one of `second` [m], ties half: the area under the ROC curve."""
    if not len(first) or not len(second):
        return None
    difference = first[:, None] - second[None]
    return float((difference > 0).float().mean() + 0.5 * (difference == 0).float().mean())


def _of_texts(texts: Sequence[Tensor], direction: Direction, at: str) -> Tensor:
    """The presence of `direction` in each of `texts` that has been read."""
    return torch.tensor([_at(activity(rows, direction), at) for rows in texts if len(rows)])


def _at(values: Tensor, at: str) -> float:
    return float({"last": values[-1], "mean": values.mean(), "max": values.max()}[at])


def _mean(values: Tensor) -> float | None:
    return float(values.mean()) if len(values) else None
