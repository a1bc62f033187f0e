"""A steering vector: a direction in the residual stream, where it acts, and where it came from."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from vectors.block_ranges import places
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


@dataclass(frozen=True, eq=False, init=False)
class SteeringVector:
    """`directions` [k, d_model] float32, each added to the OUTPUT of its decoder block of `blocks` (k of them, rising from 0).

    Most vectors have one block; a control vector has many, and one coefficient. `SteeringVector(direction, block, origin)`
    makes one of a single row [d_model]. Operators read like the mathematics (`0.5 * (a + b)`, `-a / 2`), over all blocks that
    either has, a direction that one lacks being zero; what they make is named after its recipe.
    Raises VectorError when the directions are not a finite row of numbers for each block, or no model has such blocks.
    """

    directions: Direction
    blocks: tuple[int, ...]
    origin: Origin
    name: str
    id: str

    def __init__(
        self, directions: npt.ArrayLike, blocks: int | Sequence[int], origin: Origin, name: str = "", id: str = ""
    ) -> None:
        many = isinstance(blocks, Sequence)
        own = tuple(blocks) if isinstance(blocks, Sequence) else (blocks,)
        with np.errstate(over="ignore"):  # what float32 cannot hold is told below
            rows = np.array(directions, dtype=np.float32)
        if rows.ndim != 1 + many or rows.size == 0:
            raise VectorError(f"a steering vector is one row of numbers a block, not an array of shape {rows.shape}")
        rows = rows if many else rows[None]
        if not np.isfinite(rows).all():
            raise VectorError("the vector holds numbers that are not finite (NaN or infinity)")
        if len(rows) != len(own):
            raise VectorError(f"{len(rows)} directions cannot act at {len(own)} blocks: give one for each block")
        for block in own:
            if not 0 <= block < MAX_BLOCKS:
                raise VectorError(f"block {block} does not exist: decoder blocks count from 0, and no model has {MAX_BLOCKS:,}")
        own = tuple(int(block) for block in own)
        if any(one >= next_one for one, next_one in pairwise(own)):
            raise VectorError("the blocks of a vector must rise, each named once")
        rows.setflags(write=False)
        for field_name, value in (("directions", rows), ("blocks", own), ("origin", origin), ("name", name), ("id", id)):
            object.__setattr__(self, field_name, value)

    @classmethod
    def over_blocks(cls, rows: Mapping[int, npt.ArrayLike], origin: Origin, name: str = "", id: str = "") -> SteeringVector:
        """One vector of a direction [d_model] for each block. Raises VectorError, as for rows of different widths."""
        blocks = sorted(rows)
        widths = {np.shape(rows[block]) for block in blocks}
        if len(widths) != 1:
            wrong = "the directions have different shapes, and a vector has one width" if widths else "there are no directions"
            raise VectorError(wrong)
        return cls(np.stack([np.asarray(rows[block]) for block in blocks]), blocks, origin, name, id)

    @property
    def block(self) -> int:
        """Its block, of many the first."""
        return self.blocks[0]

    @property
    def direction(self) -> Direction:
        """The direction [d_model] of a vector of one block. Raises VectorError where it has many."""
        if len(self.blocks) > 1:
            raise VectorError(f"{called(self)} has a direction at each of {places(self.blocks)}: take a vector of one block")
        row: Direction = self.directions[0]
        return row

    def __repr__(self) -> str:
        own = self.blocks
        where = f"block {own[0]}" if len(own) == 1 else f"blocks {own[0]} to {own[-1]}"
        return f"<{called(self)}: {where}, norm {self.norm:.4g}, d {self.d_model}, {self.origin.model.label() or 'a model'}>"

    @property
    def d_model(self) -> int:
        return int(self.directions.shape[1])

    def at(self, block: int) -> Direction:
        """Its direction [d_model] at the output of `block`. Raises VectorError where it has none there."""
        if block not in self.blocks:
            raise VectorError(f"{called(self)} acts at {places(self.blocks)}, not at block {block}")
        row: Direction = self.directions[self.blocks.index(block)]
        return row

    @property
    def norm(self) -> float:
        """Euclidean, over all numbers of all blocks."""
        return float(np.linalg.norm(self.directions.astype(np.float64)))

    def cosine(self, other: SteeringVector) -> float:
        """Cosine similarity, computed in float64; 0 when either is zero.

        Two vectors of one block each are compared as directions of the residual stream, wherever they act. Others as what they
        add to the model: block by block, a block that one has not counting as zeros.
        """
        product = self.norm * other.norm
        if len(self.blocks) == len(other.blocks) == 1:
            shared = [(self.directions[0], other.directions[0])]
        else:
            shared = [(self.at(block), other.at(block)) for block in self.blocks if block in other.blocks]
        dot = sum(float(one.astype(np.float64) @ two.astype(np.float64)) for one, two in shared)
        return dot / product if product else 0.0

    def misfit(self, model: ModelStamp) -> str:
        """Why `model` cannot be steered by it, or nothing where it can be, or nobody knows that model's blocks."""
        called = self.name or self.id or "the vector"
        if self.d_model != model.d_model:
            return f"{called} has width {self.d_model}, {model.name} has {model.d_model}"
        if model.n_blocks and self.blocks[-1] >= model.n_blocks:
            return f"{called} acts on {places(self.blocks)}; {model.name} has blocks 0 to {model.n_blocks - 1}"
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


def check_one_model(vectors: Sequence[SteeringVector]) -> None:
    """Raises VectorError unless all are of models of one width, and of one model where that is known."""
    if not vectors:
        raise VectorError("nothing to combine: pick at least one vector")
    first = vectors[0]
    for other in vectors[1:]:
        if other.d_model != first.d_model:
            raise VectorError(
                f"{called(first)} has width {first.d_model} and {called(other)} {other.d_model}: "
                "only vectors of one model can be combined"
            )
        prints = {first.origin.model.fingerprint, other.origin.model.fingerprint} - {""}
        if len(prints) > 1:
            raise VectorError(f"{called(first)} and {called(other)} come from different models")


def check_compatible(vectors: Sequence[SteeringVector]) -> None:
    """As `check_one_model`; and where each has a single block, that must be the same: to have many is to be asked for."""
    check_one_model(vectors)
    first = vectors[0]
    for other in vectors[1:] if all(len(vector.blocks) == 1 for vector in vectors) else ():
        if other.block != first.block:
            raise VectorError(
                f"{called(first)} acts on block {first.block} and {called(other)} on block {other.block}: "
                "steer with both at once instead of combining them, or join them to one vector over both blocks"
            )


def summed(terms: Sequence[tuple[SteeringVector, float]]) -> dict[int, npt.NDArray[np.float64]]:
    """sum of coefficient x vector over `terms`, [d_model] for each block that any of them has."""
    rows: dict[int, npt.NDArray[np.float64]] = {}
    for vector, coefficient in terms:
        for block, row in zip(vector.blocks, vector.directions, strict=True):
            part = np.float64(coefficient) * row.astype(np.float64)
            rows[block] = rows[block] + part if block in rows else part
    return rows


def weighted_sum(terms: Sequence[tuple[SteeringVector, float]], over_blocks: bool = False) -> SteeringVector:
    """sum of coefficient x vector over `terms`, as a vector whose name and settings are its recipe.

    With `over_blocks` vectors of one block each may be of several.
    """
    vectors = [vector for vector, _ in terms]
    (check_one_model if over_blocks else check_compatible)(vectors)
    if not all(np.isfinite(coefficient) for _, coefficient in terms):
        raise VectorError("a coefficient must be a finite number")
    rows = summed(terms)
    recipe = [{"id": v.id, "name": v.name, "coefficient": float(c)} for v, c in terms]
    origin = replace(
        vectors[0].origin,
        method="mixture",
        settings={"recipe": recipe},
        seed=None,
        radius=None,
        loss=None,
        parents=tuple(v.id for v in vectors),
        created=time.time(),
    )
    name = " ".join(_written(v, c, leading=i == 0) for i, (v, c) in enumerate(terms))
    return SteeringVector.over_blocks(rows, origin, name)


def called(vector: SteeringVector) -> str:
    """What a message calls `vector`."""
    return vector.name or vector.id or "a vector"


def _written(vector: SteeringVector, coefficient: float, leading: bool) -> str:
    sign = "-" if coefficient < 0 else ("" if leading else "+")
    size = abs(coefficient)
    return f"{sign}{'' if leading or not sign else ' '}{'' if size == 1 else f'{size:g} '}{called(vector)}".strip()
