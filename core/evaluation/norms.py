"""How large the residual stream is at each block, and what vectors are beside it and make of later blocks.

A stream's norm is its median over the prompt's tokens but the first, whose activations dwarf the others' in most models (an
attention sink).
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.evaluation.condition import UNSTEERED, Condition
from core.evaluation.context import AT_ONCE, Context, Measuring, Step, mean
from core.model.source import default_blocks
from vectors.store.reports import Cell, Column, Plot, Report, Table


def measure(context: Context) -> Measuring:
    blocks = range(len(context.model.blocks))
    conditions = context.conditions[1:]
    total = len(context.prompts) * (1 + len(conditions))
    stream: list[list[tuple[float, float]]] = [[] for _ in blocks]  # by block, then prompt: median, first token's
    moved: list[list[tuple[float, float]]] = [[] for _ in conditions]  # by condition, then prompt: at its target, at the end

    def report() -> Report:
        columns = (
            Column("block", "d"),
            Column("norm", ".4g"),
            Column("first token's", ".4g"),
            Column("of the norm before", ".2f"),
        )
        rows: list[tuple[Cell, ...]] = []
        for block, seen in enumerate(stream):
            median, first = mean([one for one, _ in seen]), mean([one for _, one in seen])
            before = mean([one for one, _ in stream[block - 1]]) if block else None
            rows.append((block, median, first, median / before if median and before else None))
        tables = [Table("The unsteered residual stream", columns, tuple(rows), (Plot("norm", "block"),))]
        if conditions:
            tables.append(_beside(conditions, stream, moved))
        return Report("norms", tuple(tables))

    for prompt in range(len(context.prompts)):
        plain = context.residuals(prompt, blocks, [Condition(UNSTEERED)])
        for block in blocks:
            norms = plain[block][0].norm(dim=-1)
            stream[block].append((float(_rest(norms).median()), float(norms[0])))
        yield Step(prompt * (1 + len(conditions)) + 1, total, report)
        for first in range(0, len(conditions), AT_ONCE):
            some = conditions[first : first + AT_ONCE]
            ends = sorted({_target(context, condition) for condition in some} | {blocks[-1]})
            seen = context.residuals(prompt, ends, some)
            for i, condition in enumerate(some):
                shares = [_moved(seen[end][i], plain[end][0]) for end in (_target(context, condition), blocks[-1])]
                moved[first + i].append((shares[0], shares[1]))
            yield Step(prompt * (1 + len(conditions)) + 1 + first + len(some), total, report)


def _beside(
    conditions: list[Condition], stream: list[list[tuple[float, float]]], moved: list[list[tuple[float, float]]]
) -> Table:
    columns = (Column("vector"), Column("block", "d"), Column("norm", ".3g"), Column("of the stream's", ".0%"),
               Column("moves the target by", ".0%"), Column("the last block by", ".0%"))  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for condition, shares in zip(conditions, moved, strict=True):
        block, norm = condition.block, condition.norm
        here = mean([one for one, _ in stream[block]]) if block is not None else None
        part = norm / here if norm is not None and here else None
        rows.append((condition.name, block, norm, part, mean([one for one, _ in shares]), mean([one for _, one in shares])))
    return Table("Vectors beside it", columns, tuple(rows), (Plot("moves the target by"),))


def _target(context: Context, condition: Condition) -> int:
    """The target block of its run, or the default one; never before its own first one."""
    depth, first = len(context.model.blocks), condition.block or 0
    targets = {term.vector.origin.target for term in condition.terms}
    target = targets.pop() if len(targets) == 1 else None
    if target is None or not first < target < depth:
        target = max(default_blocks(depth)[1], first)
    return target


def _rest(values: Tensor) -> Tensor:
    """Those of all tokens [tokens] but the first, where there are others."""
    return values[1:] if len(values) > 1 else values


def _moved(steered: Tensor, plain: Tensor) -> float:
    """How far `steered` [tokens, d_model] is from `plain`, in shares of its norm: the median over tokens."""
    return float(_rest((steered - plain).norm(dim=-1) / plain.norm(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)).median())
