"""Many texts' residual streams at some blocks, unsteered: texts of one length together, and no block run behind the last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import groupby

import torch
from torch import Tensor

from core.errors import SettingsError
from core.evaluation.condition import Condition
from core.evaluation.context import Context
from core.memory.halving import RowsAtOnce
from core.model.language_model import LanguageModel
from core.steering.hooks import recorded
from vectors.store.reports import Cell, Column
from vectors.vector import Direction

_TOKENS_AT_ONCE = 2048
_MOST_BYTES = 4 << 30


class Along:
    """The directions along which `conditions` have the residual stream read; of each condition, one at every block of its own.

    Raises SettingsError for a condition that has several at a block.
    """

    def __init__(self, context: Context, conditions: Sequence[Condition]) -> None:
        self._readings = {condition.name: context.readings(condition) for condition in conditions}
        self._many = any(len(found) > 1 for found in self._readings.values())

    @property
    def blocks(self) -> list[int]:
        """All blocks that are read, rising."""
        return sorted({block for found in self._readings.values() for block in found})

    def of(self, condition: Condition) -> Iterable[tuple[int, Direction]]:
        """Its blocks, rising, and the direction [d_model] at each."""
        return self._readings[condition.name].items()

    @property
    def columns(self) -> tuple[Column, ...]:
        """Of a table whose rows begin as `called` gives them: the block stands there where a condition has many."""
        return (Column("vector"), Column("block", "d")) if self._many else (Column("vector"),)

    def called(self, condition: Condition, block: int) -> tuple[Cell, ...]:
        return (condition.name, block) if self._many else (condition.name,)


class Reading:
    """`seen[block][text]` [tokens, d_model] float32 on the CPU is text `text`'s residual behind `block`, from token `first` on.

    Raises SettingsError for more text than memory should be asked for.
    """

    def __init__(self, model: LanguageModel, ids: Sequence[Sequence[int]], blocks: Sequence[int], first: int) -> None:
        tokens = sum(map(len, ids))
        if (size := 4 * model.d_model * len(blocks) * tokens) > _MOST_BYTES:
            raise SettingsError(f"{tokens:,} tokens are {size >> 30} GiB of residuals", "take a part of them, or fewer vectors")
        self._model, self._ids, self._blocks, self._first = model, ids, blocks, first
        self._tokens_at_once = _TOKENS_AT_ONCE
        self.seen: dict[int, list[Tensor]] = {block: [torch.zeros(0, model.d_model) for _ in ids] for block in blocks}

    def read(self) -> Iterator[int]:
        """Reads all texts; yields, batch by batch, how many have been read."""
        done = 0
        places = sorted(range(len(self._ids)), key=lambda place: len(self._ids[place]))
        for length, alike in groupby(places, key=lambda place: len(self._ids[place])):
            texts = list(alike)
            at_once = RowsAtOnce(max(self._tokens_at_once // length, 1))
            for read in at_once.parts(len(texts), partial(self._read, texts)):
                done += read
                yield done
            self._tokens_at_once = min(self._tokens_at_once, at_once.most * length)

    @torch.no_grad()
    def _read(self, texts: list[int], some: slice) -> int:
        model, batch = self._model, texts[some]
        with ExitStack() as stack:
            seen = {block: stack.enter_context(recorded(model.blocks[block])) for block in self._blocks}
            model.run_blocks(torch.cat([model.ids_tensor(self._ids[place]) for place in batch]), max(self._blocks))
        for block, outputs in seen.items():
            for place, row in zip(batch, outputs[0][:, self._first :].float().cpu(), strict=True):
                self.seen[block][place] = row
        return len(batch)
