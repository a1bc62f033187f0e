"""A steering vector: a direction in the residual stream, where it acts, and where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from vectors.plain_text import one_line, printable

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
else:
    from vectors import deferred_numpy as np

Direction: TypeAlias = "npt.NDArray[np.float32]"


class VectorError(ValueError):
    """A vector that cannot be made, combined or used; the message says what is wrong and what to do."""


@dataclass(frozen=True)
class ModelStamp:
    """Which model a vector belongs to.

    `fingerprint` is a hash of a few of the model's weights: it tells two models of the same name or width apart.
    """

    name: str
    d_model: int
    n_blocks: int
    fingerprint: str = ""
    revision: str = ""
    adapter: str = ""

    def label(self) -> str:
        return model_label(self.name, self.adapter)


def model_label(name: str, adapter: str) -> str:
    """What people call a model, with the adapter it wears."""
    return f"{name} + {adapter}" if adapter else name


@dataclass(frozen=True)
class Origin:
    """Where a vector came from, whole enough to find it again: everything here is JSON."""

    method: str
    model: ModelStamp
    source: int
    target: int | None = None
    prompts: tuple[str, ...] = ()
    system: str | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    radius: float | None = None
    loss: float | None = None
    parents: tuple[str, ...] = ()
    created: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Origin:
        """Reads `to_json`'s form, made safe to show, for files come from strangers. Raises VectorError on anything else."""

        def number(name: str) -> float | None:
            return None if data.get(name) is None else float(data[name])

        def whole(name: str) -> int | None:
            return None if data.get(name) is None else int(data[name])

        try:
            stamp = data["model"]
            texts = {k: one_line(str(stamp.get(k) or ""), 200) for k in ("name", "fingerprint", "revision", "adapter")}
            return cls(
                method=one_line(str(data["method"]), 60),
                model=ModelStamp(d_model=int(stamp["d_model"]), n_blocks=int(stamp["n_blocks"]), **texts),
                source=int(data["source"]),
                target=whole("target"),
                prompts=tuple(printable(str(prompt)) for prompt in data.get("prompts") or ()),
                system=None if data.get("system") is None else printable(str(data["system"])),
                settings=dict(data.get("settings") or {}),
                seed=whole("seed"),
                radius=number("radius"),
                loss=number("loss"),
                parents=tuple(one_line(str(parent), 200) for parent in data.get("parents") or ()),
                created=number("created") or 0.0,
            )
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise VectorError(f"the vector's origin is not readable ({one_line(str(error), 80)})") from error


@dataclass(frozen=True, eq=False)
class SteeringVector:
    """`direction` [d_model] float32, added to the OUTPUT of decoder block `block` (0-based).

    Operators read like the mathematics (`0.5 * (a + b)`, `-a / 2`); what they make is named after its recipe.
    Raises VectorError when the direction is not one finite row of numbers.
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
        if self.block < 0:
            raise VectorError(f"block {self.block} does not exist: decoder blocks count from 0")
        direction.setflags(write=False)
        object.__setattr__(self, "direction", direction)

    @property
    def d_model(self) -> int:
        return int(self.direction.size)

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
        from vectors.mixture import weighted_sum

        return weighted_sum([(self, float(factor))])

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> SteeringVector:
        if not divisor:
            raise VectorError("a vector cannot be divided by zero")
        return self * (1.0 / float(divisor))

    def __neg__(self) -> SteeringVector:
        return self * -1.0

    def __add__(self, other: SteeringVector) -> SteeringVector:
        from vectors.mixture import weighted_sum

        return weighted_sum([(self, 1.0), (other, 1.0)])

    def __sub__(self, other: SteeringVector) -> SteeringVector:
        from vectors.mixture import weighted_sum

        return weighted_sum([(self, 1.0), (other, -1.0)])
