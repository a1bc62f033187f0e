"""What may stand behind `@`, but for gates, which name a vector: tokens, blocks, operations."""

from __future__ import annotations

from vectors.expression.blocks import Blocks
from vectors.expression.error import ExpressionError, shown
from vectors.expression.names import nearest
from vectors.expression.tokens import FORMS, Tokens
from vectors.expression.tree import OPERATIONS

SAID = tuple(operation for operation in OPERATIONS if operation != "ablate")  # that stands before the name, as !
AT_FORMS = (*FORMS, "blocks:all", "blocks:I-J", *SAID, "when:NAME>X", "when:NAME<X")
_HEADS = {form.partition(":")[0]: form for form in AT_FORMS}


def part_of(word: str) -> tuple[str, str | Tokens | Blocks]:
    """The field of a term that `word`, which stands behind @, gives, and its value. Raises ExpressionError."""
    head, colon, rest = word.partition(":")
    if word in SAID:
        return "operation", word
    if head == "blocks" and colon:
        return "blocks", Blocks.parse(rest)
    if head == "from" or (_HEADS.get(head) in FORMS and (colon or _HEADS[head] != head)) or word in FORMS:
        return "tokens", Tokens.parse(word)
    if word == "ablate":
        raise ExpressionError("to ablate is written with ! before the name, as in 0.5 !NAME")
    close = nearest(head, _HEADS, 1)
    hint = f"did you mean @{_HEADS[close[0]]}?" if close else "use @" + ", @".join(AT_FORMS)
    raise ExpressionError(f"@{shown(word)} is nothing that can stand there; {hint}" if word else f"@ stands alone; {hint}")
