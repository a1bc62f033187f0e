"""How large the residual stream is at each block, and what vectors are beside it and make of later blocks.

A stream's norm is its median over the prompt's tokens but the first, whose activations dwarf the others' in most models (an
attention sink).
"""

from __future__ import annotations

import torch
from torch import Tensor

from core.evaluation.context import AT_ONCE, UNSTEERED, Bench, Measuring, Step, Subject, mean
from core.model.source import default_blocks
from vectors.store.reports import Cell, Column, Plot, Report, Table


def measure(bench: Bench) -> Measuring:
    blocks = range(len(bench.model.blocks))
    subjects = bench.subjects[1:]
    total = len(bench.prompts) * (1 + len(subjects))
    stream: list[list[tuple[float, float]]] = [[] for _ in blocks]  # by block, then prompt: median, first token's
    moved: list[list[tuple[float, float]]] = [[] for _ in subjects]  # by subject, then prompt: at its target, at the end

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
        if subjects:
            tables.append(_beside(subjects, stream, moved))
        return Report("norms", tuple(tables))

    for prompt in range(len(bench.prompts)):
        plain = bench.residuals(prompt, blocks, [Subject(UNSTEERED)])
        for block in blocks:
            norms = plain[block][0].norm(dim=-1)
            stream[block].append((float(_rest(norms).median()), float(norms[0])))
        yield Step(prompt * (1 + len(subjects)) + 1, total, report)
        for first in range(0, len(subjects), AT_ONCE):
            some = subjects[first : first + AT_ONCE]
            ends = sorted({_target(bench, subject) for subject in some} | {blocks[-1]})
            seen = bench.residuals(prompt, ends, some)
            for i, subject in enumerate(some):
                shares = [_moved(seen[end][i], plain[end][0]) for end in (_target(bench, subject), blocks[-1])]
                moved[first + i].append((shares[0], shares[1]))
            yield Step(prompt * (1 + len(subjects)) + 1 + first + len(some), total, report)


def _beside(subjects: list[Subject], stream: list[list[tuple[float, float]]], moved: list[list[tuple[float, float]]]) -> Table:
    columns = (Column("vector"), Column("block", "d"), Column("norm", ".3g"), Column("of the stream's", ".0%"),
               Column("moves the target by", ".0%"), Column("the last block by", ".0%"))  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for subject, shares in zip(subjects, moved, strict=True):
        assert subject.term is not None
        block, norm = subject.term.vector.block, subject.norm
        here = mean([one for one, _ in stream[block]])
        part = norm / here if norm is not None and here else None
        rows.append((subject.name, block, norm, part, mean([one for one, _ in shares]), mean([one for _, one in shares])))
    return Table("Vectors beside it", columns, tuple(rows), (Plot("moves the target by"),))


def _target(bench: Bench, subject: Subject) -> int:
    """The block that its run watched, or where runs watch by themselves; never before its own."""
    assert subject.term is not None
    vector = subject.term.vector
    target = vector.origin.target
    if target is None or not vector.block < target < len(bench.model.blocks):
        target = max(default_blocks(len(bench.model.blocks))[1], vector.block)
    return target


def _rest(values: Tensor) -> Tensor:
    """Those of all tokens [tokens] but the first, where there are others."""
    return values[1:] if len(values) > 1 else values


def _moved(steered: Tensor, plain: Tensor) -> float:
    """How far `steered` [tokens, d_model] is from `plain`, in shares of its norm: the median over tokens."""
    return float(_rest((steered - plain).norm(dim=-1) / plain.norm(dim=-1).clamp_min(torch.finfo(torch.float32).tiny)).median())
