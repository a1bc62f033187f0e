"""How far vectors move the prompt's next token: KL in nats of the next-token distributions, at the prompt's last token.

To the base vector it is KL(vector || base), as the code of MELBO-ortho's post computes it (Goldman-Wetzler, 2024).
"""

from __future__ import annotations

import torch

from core.evaluation.condition import Condition
from core.evaluation.context import AT_ONCE, Context, Measuring, Step, mean
from core.steering.divergence import divergence
from core.steering.terms import SteerTerm
from vectors.store.reports import Cell, Column, Plot, Report, Table


def measure(context: Context) -> Measuring:
    base = Condition("base", (SteerTerm(context.base),)) if context.base is not None else None
    conditions = context.conditions[1:]
    unsteered: list[list[float]] = [[] for _ in conditions]  # by condition, then prompt
    to_base: list[list[float]] = [[] for _ in conditions]
    words: list[str] = ["" for _ in conditions]
    own: list[float] = []  # KL(unsteered || base)
    first_word = ""

    def report() -> Report:
        columns = [Column("vector"), Column("norm", ".3g"), Column("KL to unsteered", ".3g"), Column("most", ".3g")]
        columns += [Column("KL to base", ".3g")] if base is not None else []
        rows: list[tuple[Cell, ...]] = []
        for i, condition in enumerate(conditions):
            far: list[Cell] = [mean(to_base[i])] if base is not None else []
            rows.append((condition.name, condition.norm, mean(unsteered[i]), max(unsteered[i], default=None), *far, words[i]))
        plots = tuple(Plot(column.name) for column in reversed(columns[1:]) if column.name != "most")
        table = Table("KL of the next token, nats", (*columns, Column("next token")), tuple(rows), plots)
        findings = [f"Unsteered, the likeliest next token is {first_word}."] if first_word else []
        if base is not None and own:
            findings.append(
                f"The unsteered model's KL to the base {context.base.name if context.base else ''} is {mean(own):.3g}."
            )
        return Report("kl", (table,), tuple(findings))

    for prompt in range(len(context.prompts)):
        plain = context.next_token(prompt, [Condition("unsteered")])
        expected = context.next_token(prompt, [base]) if base is not None else None
        if expected is not None:
            own.append(float(divergence(plain, expected)))
        if prompt == 0:
            first_word = _word(context, plain[0])
        for first in range(0, len(conditions), AT_ONCE):
            logits = context.next_token(prompt, conditions[first : first + AT_ONCE])
            for i, row in enumerate(logits, first):
                unsteered[i].append(float(divergence(row, plain[0])))
                if expected is not None:
                    to_base[i].append(float(divergence(row, expected[0])))
                if prompt == 0:
                    words[i] = _word(context, row)
            yield Step(prompt * len(conditions) + first + len(logits), len(context.prompts) * len(conditions), report)


def _word(context: Context, logits: torch.Tensor) -> str:
    """The likeliest token of `logits` [vocab] and how likely it is."""
    chance, token = torch.softmax(logits, dim=-1).max(dim=-1)
    text = context.model.token_texts([int(token)])[0] if context.model.has_tokenizer else f"id {int(token)}"
    return f"{text.strip() or repr(text)} {float(chance):.0%}"
