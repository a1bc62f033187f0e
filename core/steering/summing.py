"""An expression that only adds vectors becomes one vector: what it adds at each block."""

from __future__ import annotations

from dataclasses import replace

from core.steering.resolving import check_acts
from core.steering.terms import Steering, SteerTerm
from vectors.block_ranges import ranges
from vectors.expression import Expression
from vectors.expression.sums import check_sum
from vectors.files.bounded import LABEL
from vectors.plain_text import one_line
from vectors.vector import SteeringVector, VectorError, check_one_model, weighted_sum


def one_vector(expression: Expression, steering: Steering) -> SteeringVector:
    """The vector, over each block where a term acts, that steers as `expression` does; `steering` is its own.

    A vector that stands alone is given as it is; any other has no id, the expression as its name, and its recipe among the
    settings of its origin, where a term that has not the blocks of its vector has `blocks`. Raises ExpressionError at a term
    that does more than add, that acts where its model has no block, or that is of another model than the first.
    """
    check_sum(expression)
    first = steering[0]
    for term, acting in zip(expression, steering, strict=True):
        try:
            check_one_model([first.vector, acting.vector])
        except VectorError as error:
            raise term.place.error(str(error)) from None
        if term.blocks.kind == "all" and len(acting.vector.blocks) == 1 and not acting.vector.origin.model.n_blocks:
            raise term.place.error(f"nobody knows how many blocks {term.name}'s model has: name them, as in @blocks:5-17")
    model = replace(first.vector.origin.model, d_model=first.vector.d_model)
    check_acts(expression, steering, model)
    parts = [_placed(acting) for acting in steering]
    if len(parts) == 1 and first.coefficient == 1 and parts[0] is first.vector:
        return first.vector
    try:
        made = weighted_sum(
            [(part, acting.coefficient) for part, acting in zip(parts, steering, strict=True)], over_blocks=True
        )
    except VectorError as error:
        raise expression.terms[0].place.error(str(error)) from None
    recipe = [
        entry | ({} if part is acting.vector else {"blocks": ranges(part.blocks)})
        for entry, part, acting in zip(made.origin.settings["recipe"], parts, steering, strict=True)
    ]
    origin = replace(made.origin, source=made.block, settings={"recipe": recipe})
    return replace(made, origin=origin, name=one_line(str(expression), LABEL))


def _placed(acting: SteerTerm) -> SteeringVector:
    """The vector of `acting`, of which its model has been checked, over the blocks where it acts."""
    vector = acting.vector
    blocks = acting.acts_at(vector.origin.model.n_blocks or max(vector.blocks[-1], acting.blocks.last) + 1)
    if blocks == vector.blocks:
        return vector
    return SteeringVector.over_blocks(
        {block: acting.direction_at(block) for block in blocks}, vector.origin, vector.name, vector.id
    )
