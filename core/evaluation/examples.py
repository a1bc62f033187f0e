"""The tokens of given texts at which vectors are active the most: where the unsteered residual stream points their way.

Activity is the cosine of a token's residual, less the mean over all tokens, with the vector, at each block where that acts.
What all texts begin with, as in a chat template, is left out, and so is the first token at least: in most models its
activations dwarf all others' (an attention sink). A beginning that some texts share is looked at in the first of them alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from core.errors import ModelError
from core.evaluation.context import Context, Measuring, Step
from core.evaluation.reading import Along, Reading
from vectors.plain_text import one_line
from vectors.store.reports import Cell, Column, Report, Table
from vectors.vector import Direction

_BEFORE, _BEHIND = 12, 4  # tokens of context
_COSINE, _WHERE = Column("cosine", "+.3f"), (Column("token"), Column("where"))


def measure(context: Context) -> Measuring:
    if not context.model.has_tokenizer:
        raise ModelError("this model has no tokenizer, so its tokens cannot be named")
    conditions = [*context.named, *context.random]
    first = where_they_differ(context.ids)
    along = Along(context, conditions)
    reading = Reading(context.model, context.ids, along.blocks, first)
    fresh = [max(first, start) for start in where_new(context.ids)]
    top = context.settings.top

    def report() -> Report:
        rows: list[tuple[Cell, ...]] = []
        strongest: dict[int, list[float]] = {}
        streams = {block: centred(seen) for block, seen in reading.seen.items()}
        for condition in conditions:
            for block, direction in along.of(condition):
                found = _most_active(direction, streams[block], [start - first for start in fresh], top)
                if condition.random:
                    strongest.setdefault(block, []).extend(cosine for cosine, _, _ in found[:1])
                    continue
                for cosine, text, token in found:
                    rows.append((*along.called(condition, block), cosine, *_shown(context, text, first + token)))
        table = Table("Most active tokens", (*along.columns, _COSINE, *_WHERE), tuple(rows))
        return Report("examples", (table,), tuple(_bounds(strongest)))

    for done in reading.read():
        yield Step(done, len(context.prompts), report)


def _bounds(strongest: Mapping[int, Sequence[float]]) -> Iterator[str]:
    """What random directions reach, at each block: cosines of one block say nothing of another's."""
    for block, cosines in sorted(strongest.items()):
        if cosines:
            place = f" at block {block}" if len(strongest) > 1 else ""
            yield f"{len(cosines)} random directions reach {max(cosines):+.3f} at most{place}."


def where_they_differ(ids: Sequence[Sequence[int]]) -> int:
    """The first token that is looked at: where the texts begin to differ, though each has one left; 1 for a text alone."""
    alike, least = 0, min(map(len, ids))
    while len(ids) > 1 and alike < least - 1 and len({one[alike] for one in ids}) == 1:
        alike += 1
    return min(max(alike, 1), least - 1)


def where_new(ids: Sequence[Sequence[int]]) -> list[int]:
    """For each text, the first token behind what an earlier text began with as well."""
    seen: dict[int, Any] = {}
    starts = []
    for one in ids:
        level, start = seen, 0
        for place, token in enumerate(one):
            if token in level and start == place:
                start = place + 1
            level = level.setdefault(token, {})
        starts.append(start)
    return starts


def centred(rows: list[Tensor]) -> list[Tensor]:
    """`rows`, one [tokens, d_model] a text, less the mean over all their tokens."""
    middle = torch.cat(rows).mean(dim=0)
    return [row - middle for row in rows]


def activity(rows: Tensor, direction: Direction) -> Tensor:
    """Cosine of each of `rows` [tokens, d_model] with `direction` [d_model], [tokens]."""
    return torch.cosine_similarity(rows, torch.from_numpy(direction.copy())[None], dim=-1)


def _most_active(direction: Direction, texts: list[Tensor], fresh: list[int], top: int) -> list[tuple[float, int, int]]:
    """(cosine, text, row) of the `top` of `texts`, each at the most active of its rows from `fresh` on."""
    found = []
    for text, rows in enumerate(texts):
        if len(rows) > fresh[text]:
            value, token = activity(rows, direction)[fresh[text] :].max(dim=0)
            found.append((float(value), text, fresh[text] + int(token)))
    return sorted(found, reverse=True)[:top]


def _shown(context: Context, text: int, token: int) -> tuple[str, str]:
    """The token, and it in its place."""
    ids = context.ids[text]
    word = one_line(context.model.token_texts([ids[token]])[0]) or "⏎"
    before, behind = ids[max(token - _BEFORE, 0) : token], ids[token + 1 : token + 1 + _BEHIND]
    place = f"{context.model.decode(before)} «{word}» {context.model.decode(behind)}"
    return word, one_line(place)
