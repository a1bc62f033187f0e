"""A steering vector: a direction in the residual stream, where it acts, and where it came from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from vectors.errors import VectorError as VectorError
from vectors.files.bounded import (
    MAX_BLOCKS,
    MAX_WIDTH,
    Between,
    Block,
    Id,
    Label,
    Moment,
    Norm,
    Prose,
    Settings,
    Text,
    check,
    decoded,
)
from vectors.plain_text import one_line

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

Direction: TypeAlias = "npt.NDArray[np.float32]"
# A folder's name, or a hub's id with its owner, is shorter.
_Name = Annotated[str, Text(300, partial(one_line, limit=300))]


@dataclass(frozen=True)
class ModelStamp:
    """Which model a vector belongs to.

    `fingerprint` is a hash of a few of the model's weights: it tells two models of the same name or width apart.
    """

    name: _Name
    d_model: Annotated[int, Between(0, MAX_WIDTH)]
    n_blocks: Annotated[int, Between(0, MAX_BLOCKS)]
    fingerprint: Label = ""
    revision: _Name = ""
    adapter: _Name = ""

    def __post_init__(self) -> None:
        check(self)

    def label(self) -> str:
        return model_label(self.name, self.adapter)


def model_label(name: str, adapter: str) -> str:
    """What people call a model, with the adapter it wears."""
    return f"{name} + {adapter}" if adapter else name


@dataclass(frozen=True)
class Origin:
    """Where a vector came from, whole enough to find it again: everything here is JSON."""

    method: Label
    model: ModelStamp
    source: Block
    target: Block | None = None
    prompts: tuple[Prose, ...] = ()
    system: Prose | None = None
    settings: Settings = field(default_factory=dict)
    seed: int | None = None
    radius: Norm | None = None
    loss: float | None = None
    parents: tuple[Id, ...] = ()
    created: Moment = 0.0

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origin:
        """Reads `to_json`'s form, made safe to show, for files come from strangers. Raises VectorError on anything else."""
        return decoded(cls, data)


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """`direction` [d_model] float32, added to the OUTPUT of decoder block `block` (0-based).

    Operators read like the mathematics (`0.5 * (a + b)`, `-a / 2`); what they make is named after its recipe.
    Raises VectorError when the direction is not one finite row of numbers, or no model has such a block.
    """

    direction: Direction
    block: int
    origin: Origin
    name: str = ""
    id: str = ""

    def __post_init__(self) -> None:
        direction = np.array(self.direction, dtype=np.float32)
        if direction.ndim != 1 or direction.size == 0:
            raise VectorError(f"a steering vector is one row of numbers, not an array of shape {direction.shape}")
        if not np.isfinite(direction).all():
            raise VectorError("the vector holds numbers that are not finite (NaN or infinity)")
        if not 0 <= self.block < MAX_BLOCKS:
            raise VectorError(
                f"block {self.block} does not exist: decoder blocks count from 0, and no model has {MAX_BLOCKS:,}"
            )
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)

    def __repr__(self) -> str:
        own = self.blocks
        where = f"block {own[0]}" if len(own) == 1 else f"blocks {own[0]} to {own[-1]}"
        return f"<{called(self)}: {where}, norm {self.norm:.4g}, d {self.d_model}, {self.origin.model.label() or 'a model'}>"

    @property
    def d_model(self) -> int:
        return int(self.direction.size)

    @property
    def blocks(self) -> tuple[int, ...]:
        """The blocks at whose outputs it acts, rising."""
        return (self.block,)

    def at(self, block: int) -> Direction:
        """Its direction [d_model] at the output of `block`, one of `blocks`."""
        return self.direction

    @property
    def norm(self) -> float:
        return float(np.linalg.norm(self.direction.astype(np.float64)))

    def cosine(self, other: SteeringVector) -> float:
        """Cosine similarity, computed in float64; 0 when either is zero."""
        product = self.norm * other.norm
        dot = float(self.direction.astype(np.float64) @ other.direction.astype(np.float64))
        return dot / product if product else 0.0

    def misfit(self, model: ModelStamp) -> str:
        """Why `model` cannot be steered by it, or nothing where it can be, or nobody knows that model's blocks."""
        called = self.name or self.id or "the vector"
        if self.d_model != model.d_model:
            return f"{called} has width {self.d_model}, {model.name} has {model.d_model}"
        if model.n_blocks and self.block >= model.n_blocks:
            return f"{called} acts on block {self.block}; {model.name} has blocks 0 to {model.n_blocks - 1}"
        return ""

    def renamed(self, name: str) -> SteeringVector:
        return replace(self, name=name)

    def __mul__(self, factor: float) -> SteeringVector:
        return weighted_sum([(self, float(factor))])

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> SteeringVector:
        if not divisor:
            raise VectorError("a vector cannot be divided by zero")
        return self * (1.0 / float(divisor))

    def __neg__(self) -> SteeringVector:
        return self * -1.0

    def __add__(self, other: SteeringVector) -> SteeringVector:
        return weighted_sum([(self, 1.0), (other, 1.0)])

    def __sub__(self, other: SteeringVector) -> SteeringVector:
        return weighted_sum([(self, 1.0), (other, -1.0)])


def check_compatible(vectors: Sequence[SteeringVector]) -> None:
    """Raises VectorError unless all act on the same block of models of one width, and of one model where that is known."""
    if not vectors:
        raise VectorError("nothing to combine: pick at least one vector")
    first = vectors[0]
    for other in vectors[1:]:
        if other.d_model != first.d_model:
            raise VectorError(
                f"{called(first)} has width {first.d_model} and {called(other)} {other.d_model}: "
                "only vectors of one model can be combined"
            )
        if other.block != first.block:
            raise VectorError(
                f"{called(first)} acts on block {first.block} and {called(other)} on block {other.block}: "
                "steer with both at once instead of combining them"
            )
        prints = {first.origin.model.fingerprint, other.origin.model.fingerprint} - {""}
        if len(prints) > 1:
            raise VectorError(f"{called(first)} and {called(other)} come from different models")


def weighted_sum(terms: Sequence[tuple[SteeringVector, float]]) -> SteeringVector:
    """sum of coefficient x vector over `terms`, as a vector whose name and settings are its recipe."""
    vectors = [vector for vector, _ in terms]
    check_compatible(vectors)
    if not all(np.isfinite(coefficient) for _, coefficient in terms):
        raise VectorError("a coefficient must be a finite number")
    direction = sum(np.float64(c) * v.direction.astype(np.float64) for v, c in terms)
    recipe = [{"id": v.id, "name": v.name, "coefficient": float(c)} for v, c in terms]
    first = vectors[0].origin
    origin = replace(
        first,
        method="mixture",
        settings={"recipe": recipe},
        seed=None,
        radius=None,
        loss=None,
        parents=tuple(v.id for v in vectors),
        created=time.time(),
    )
    name = " ".join(_written(v, c, leading=i == 0) for i, (v, c) in enumerate(terms))
    return SteeringVector(np.asarray(direction, dtype=np.float32), vectors[0].block, origin, name)


def called(vector: SteeringVector) -> str:
    """What a message calls `vector`."""
    return vector.name or vector.id or "a vector"


def _written(vector: SteeringVector, coefficient: float, leading: bool) -> str:
    sign = "-" if coefficient < 0 else ("" if leading else "+")
    size = abs(coefficient)
    return f"{sign}{'' if leading or not sign else ' '}{'' if size == 1 else f'{size:g} '}{called(vector)}".strip()
