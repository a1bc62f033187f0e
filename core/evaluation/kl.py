"""How far vectors move the prompt's next word: KL in nats of the next-token distributions, at the prompt's last token.

To the base vector it is KL(vector || base), as the code of MELBO-ortho's post computes it (Goldman-Wetzler, 2024).
"""

from __future__ import annotations

import torch

from core.evaluation.context import AT_ONCE, Bench, Measuring, Step, Subject, mean
from core.steering.divergence import divergence
from core.steering.terms import SteerTerm
from vectors.store.reports import Cell, Column, Plot, Report, Table


def measure(bench: Bench) -> Measuring:
    base = Subject("base", SteerTerm(bench.base)) if bench.base is not None else None
    subjects = bench.subjects[1:]
    unsteered: list[list[float]] = [[] for _ in subjects]  # by subject, then prompt
    to_base: list[list[float]] = [[] for _ in subjects]
    words: list[str] = ["" for _ in subjects]
    own: list[float] = []  # KL(unsteered || base)
    first_word = ""

    def report() -> Report:
        columns = [Column("vector"), Column("norm", ".3g"), Column("KL to unsteered", ".3g"), Column("most", ".3g")]
        columns += [Column("KL to base", ".3g")] if base is not None else []
        rows: list[tuple[Cell, ...]] = []
        for i, subject in enumerate(subjects):
            far: list[Cell] = [mean(to_base[i])] if base is not None else []
            rows.append((subject.name, subject.norm, mean(unsteered[i]), max(unsteered[i], default=None), *far, words[i]))
        plots = tuple(Plot(column.name) for column in reversed(columns[1:]) if column.name != "most")
        table = Table("KL of the next token, nats", (*columns, Column("next token")), tuple(rows), plots)
        findings = [f"Unsteered, the likeliest next token is {first_word}."] if first_word else []
        if base is not None and own:
            findings.append(f"The unsteered model's KL to the base {bench.base.name if bench.base else ''} is {mean(own):.3g}.")
        return Report("kl", (table,), tuple(findings))

    for prompt in range(len(bench.prompts)):
        plain = bench.next_token(prompt, [Subject("unsteered")])
        expected = bench.next_token(prompt, [base]) if base is not None else None
        if expected is not None:
            own.append(float(divergence(plain, expected)))
        if prompt == 0:
            first_word = _word(bench, plain[0])
        for first in range(0, len(subjects), AT_ONCE):
            logits = bench.next_token(prompt, subjects[first : first + AT_ONCE])
            for i, row in enumerate(logits, first):
                unsteered[i].append(float(divergence(row, plain[0])))
                if expected is not None:
                    to_base[i].append(float(divergence(row, expected[0])))
                if prompt == 0:
                    words[i] = _word(bench, row)
            yield Step(prompt * len(subjects) + first + len(logits), len(bench.prompts) * len(subjects), report)


def _word(bench: Bench, logits: torch.Tensor) -> str:
    """The likeliest token of `logits` [vocab] and how likely it is."""
    chance, token = torch.softmax(logits, dim=-1).max(dim=-1)
    text = bench.model.token_texts([int(token)])[0] if bench.model.has_tokenizer else f"id {int(token)}"
    return f"{text.strip() or repr(text)} {float(chance):.0%}"
